package top

import (
	"fmt"
	"math"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

// The styles that package term has not.
const (
	plain   = ""
	reverse = "7"
)

// paint puts text into a style: SGR parameters. The terminal's profile decides what becomes of colours it lacks.
func paint(style, text string) string {
	if style == plain || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[m"
}

// heat is the colour of a rate: from blue for one a second over green and yellow to red for 100,000.
func heat(rate float64) string {
	if rate <= 0 {
		return term.Dim
	}
	x := max(0, min(1, math.Log10(rate)/5))
	stops := [...][3]float64{{95, 135, 215}, {80, 190, 110}, {225, 190, 60}, {225, 75, 65}}
	at := x * float64(len(stops)-1)
	i := min(int(at), len(stops)-2)
	mix := func(c int) int { return int(stops[i][c] + (at-float64(i))*(stops[i+1][c]-stops[i][c])) }
	return fmt.Sprintf("38;2;%d;%d;%d", mix(0), mix(1), mix(2))
}

// stateStyle is the colour of a row's state, as ivt list has it.
func stateStyle(r *picture.Row) string {
	switch {
	case r == nil:
		return plain
	case r.Storm || r.State == irq.StateUnavailable:
		return term.Bold + ";" + term.Red
	case r.Masked || r.State == irq.StateOrphaned || r.State == irq.StateDraining:
		return term.Yellow
	case r.Managed && r.Held():
		return term.Green
	case !r.Held():
		return term.Dim
	}
	return plain
}

// fit makes a stranger's text harmless and exactly n columns wide.
func fit(s string, n int, right bool) string {
	s = clip(s, n)
	pad := strings.Repeat(" ", max(0, n-ansi.StringWidth(s)))
	if right {
		return pad + s
	}
	return s + pad
}

// clip makes a stranger's text harmless and at most n columns wide. Wide characters count as two columns.
func clip(s string, n int) string {
	const cell = 4 // more runes than this in a column are not text
	return clipOwn(term.Clip(s, cell*n), n)
}

// clipLeft is clip that keeps the end: what tells the vectors of one device apart.
func clipLeft(s string, n int) string {
	if n <= 0 {
		return ""
	}
	for s = term.Safe(s); ; {
		more := ansi.StringWidth(s) - n
		if more <= 0 {
			return s
		}
		s = "…" + ansi.TruncateLeft(strings.TrimPrefix(s, "…"), more+1, "")
	}
}

// clipOwn is clip for text of ours, with styles.
func clipOwn(s string, n int) string {
	if n <= 0 {
		return ""
	}
	return ansi.Truncate(s, n, "…")
}
