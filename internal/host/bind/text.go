package bind

import (
	"fmt"
	"io"
	"strings"

	"github.com/ivtd/ivt/internal/term"
)

// Write writes the plan for people: what is concerned, what it is used for, and every line that would be written.
func (p *Plan) Write(o term.Output) error {
	var b strings.Builder
	for i, d := range p.Devices {
		if i > 0 {
			b.WriteString("with it, of the same group: ")
		}
		fmt.Fprintf(&b, "%s (%s:%s, class %s), %s\n", o.Style(term.Bold, d.Address), strings.TrimPrefix(d.Vendor, "0x"),
			strings.TrimPrefix(d.Product, "0x"), term.Safe(strings.TrimPrefix(d.Class, "0x")), d.where())
	}
	for _, u := range p.InUse {
		fmt.Fprintln(&b, o.Style(term.Red, "in use: ")+term.Safe(u.What))
		if u.Cure != "" {
			fmt.Fprintln(&b, "        "+term.Safe(u.Cure))
		}
	}
	for _, n := range p.Notes {
		fmt.Fprintln(&b, o.Style(term.Yellow, "note: ")+term.Safe(n))
	}
	if len(p.Steps) == 0 {
		fmt.Fprintln(&b, "nothing to do")
	}
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "%2d. %s\n      %s\n", i+1, s.What, o.Style(term.Dim, s.Command()))
		if s.Kind == Create {
			b.WriteString(indent(s.Value))
		}
	}
	_, err := io.WriteString(o, b.String())
	return err
}

// where says what has it now.
func (d *Device) where() string {
	text := "bound to " + d.Driver
	if d.Driver == "" {
		text = "without driver"
	}
	if d.Group == "" {
		return text + ", no IOMMU group"
	}
	return text + ", IOMMU group " + d.Group
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("        " + term.Safe(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
