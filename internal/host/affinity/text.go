package affinity

import (
	"fmt"
	"io"
	"strings"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/term"
)

// Write writes where an irq may go and where it goes, for people.
func (s *State) Write(o term.Output) error {
	var b strings.Builder
	title := fmt.Sprintf("irq:%d", s.IRQ)
	if len(s.Handlers) > 0 {
		title += " " + strings.Join(s.Handlers, ", ")
	}
	fmt.Fprintln(&b, o.Style(term.Bold, term.Safe(title)))
	row := func(name, value string) { fmt.Fprintf(&b, "%-10s %s\n", name, term.Safe(value)) }
	row("asked", cpus(s.Asked))
	row("effective", cpus(s.Effective)+s.place())
	if s.Hint.Known() {
		row("hint", cpus(s.Hint))
	}
	if s.Node >= 0 {
		row("node", fmt.Sprint(s.Node))
	}
	row("managed", verdict(s.Managed, s.ManagedBy))
	row("settable", verdict(s.Settable, ""))
	if eff := s.Effective; eff.Known() && eff.Len() > 0 && eff.And(s.Asked).Len() == 0 {
		b.WriteString("it is not handled where it was asked to: the move waits for the next interrupt, or those CPUs are offline\n")
	}
	_, err := io.WriteString(o, b.String())
	return err
}

func (s *State) place() string {
	if s.Vector == 0 {
		return ""
	}
	return fmt.Sprintf(", vector %#x", s.Vector)
}

func cpus(set host.CPUSet) string {
	switch {
	case !set.Known():
		return "not known: this kernel does not say"
	case set.Len() == 0:
		return "none"
	}
	return "CPU " + set.String()
}

func verdict(v host.Verdict, by string) string {
	if by == "" || v == host.Unknown {
		return v.String()
	}
	return v.String() + " (by " + by + ")"
}

// Write writes what was changed, or by Plan what would be, and how to get back.
func (c *Change) Write(o term.Output) error {
	var b strings.Builder
	fmt.Fprintf(&b, "echo %s > %s\n", c.Value, c.Path)
	fmt.Fprintf(&b, "asked      %s, before: %s\n", cpus(c.After.Asked), cpus(c.Before.Asked))
	fmt.Fprintf(&b, "effective  %s, before: %s\n", cpus(c.After.Effective), cpus(c.Before.Effective))
	if c.Note != "" {
		fmt.Fprintln(&b, o.Style(term.Yellow, "note: ")+term.Safe(c.Note))
	}
	fmt.Fprintf(&b, "back: ivt affinity irq:%d %s\n", c.Before.IRQ, c.Undo)
	_, err := io.WriteString(o, b.String())
	return err
}
