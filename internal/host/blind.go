package host

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Blind is something that could not be seen: what, why, and what would reveal it.
type Blind struct {
	What string `json:"what"`
	Why  string `json:"why"`
	Cure string `json:"cure,omitempty"`
}

// String returns "what: why; cure".
func (b Blind) String() string {
	s := b.What + ": " + b.Why
	if b.Cure != "" {
		s += "; " + b.Cure
	}
	return s
}

// blind notes that a file could not be read.
func (g *reading) blind(what, file string, err error) {
	b := Blind{What: what, Why: "/" + file + " cannot be read", Cure: g.cure(err)}
	switch {
	case g.kind == kindBare:
		b.Why = g.name + " is a copy of /proc/interrupts and has nothing else"
	case errors.Is(err, fs.ErrNotExist):
		b.Why = "there is no /" + file
	case errors.Is(err, fs.ErrPermission):
		b.Why = "/" + file + " may not be read"
	}
	g.addBlind(b)
}

func (g *reading) addBlind(b Blind) {
	if !slices.Contains(g.Blind, b) {
		g.Blind = append(g.Blind, b)
	}
}

func (g *reading) cure(err error) string {
	switch {
	case g.kind == kindBare:
		return "take a whole picture there: ivt save FILE"
	case g.kind == kindSaved && g.saver > 0:
		return fmt.Sprintf("it was saved by uid %d; save it again as root", g.saver)
	case g.kind != kindLive:
		return ""
	case errors.Is(err, fs.ErrPermission):
		return "run it as root"
	}
	return ""
}

// deny counts a file that may not be read; explainDenied makes one Blind of all of a kind.
func (g *reading) deny(what string, err error) {
	if errors.Is(err, fs.ErrPermission) {
		g.denied[what]++
	}
}

func (g *reading) explainDenied() {
	for what, n := range g.denied {
		g.addBlind(Blind{What: what, Why: countOf(n, "file") + " may not be read", Cure: g.cure(fs.ErrPermission)})
	}
	slices.SortStableFunc(g.Blind, func(a, b Blind) int { return strings.Compare(a.What, b.What) })
}

func (m *Machine) isBlind(what string) bool {
	return slices.ContainsFunc(m.Blind, func(b Blind) bool { return b.What == what })
}

// countOf returns "1 file", "2 files", "3 processes".
func countOf(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
