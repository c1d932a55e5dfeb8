package doctor

import (
	"slices"
	"strings"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host"
)

// lookMismatches reports refused requests, with whose fault it is, and whether they succeeded since.
func lookMismatches(x *exam) string {
	x.addLog(func(f *Finding, g *explain.Group) {
		if m := g.Mismatch; m != nil {
			f.Meaning = strings.Join(g.Verdict, " ") + " At fault: " + m.Fault
			f.Remedies = append(mismatchRemedies(g), f.Remedies...)
		}
		x.nowOnLine(f, g)
	})
	return x.logText()
}

// nowOnLine compares with the machine: whoever was refused may have got the line since.
func (x *exam) nowOnLine(f *Finding, g *explain.Group) {
	q := x.here(g, g.IRQ())
	if q == nil {
		return
	}
	f.Evidence = append(f.Evidence, row(q))
	asked := g.Field("asked_by")
	double := g.Mismatch != nil && g.Mismatch.Double
	if asked != "" && !double && hasHandler(q, asked) {
		f.Severity = Info
		f.Title += ", and has it now"
		f.Meaning = "A later attempt succeeded: " + asked + " is on the line now. " + f.Meaning
		f.Remedies = nil
	}
}

func hasHandler(q *host.IRQ, name string) bool {
	return slices.ContainsFunc(q.Handlers, func(h host.Handler) bool { return h.Name == name })
}

// mismatchRemedies are those for the very case.
func mismatchRemedies(g *explain.Group) []Remedy {
	asked, held := g.Field("asked_by"), g.Field("held_by")
	switch {
	case strings.HasPrefix(held, "vfio-intx(") || strings.HasPrefix(asked, "vfio-intx("):
		return []Remedy{{Do: "A device given away through VFIO does not share its line unless it can disable INTx. Use its MSI or MSI-X interrupts in the driver or guest.",
			Risk: "Takes a restart of the driver or guest."}}
	case g.Mismatch.Double:
		return []Remedy{{Do: "Look for the second entry of the device in the device tree or ACPI table, or for the service that starts twice; one of them must go."}}
	case g.Mismatch.Conditions[0].Holds:
		return nil
	case strings.Contains(held, "serial") || strings.Contains(asked, "serial"):
		return []Remedy{{Do: "The old serial ports ask without sharing and are often not there at all. If this one is not used, boot with 8250.nr_uarts=0.", Risk: "Serial consoles on these ports stop working."}}
	}
	return nil
}
