package doctor

import "github.com/ivtd/ivt/internal/doctor/explain"

// again is how many interrupts at one unowned vector are no accident any more, and many is a fault.
const (
	again = 10
	many  = 1000
)

// lookNoHandler reports interrupts at vectors without owner. Few of them are harmless, whatever their level in the log.
func lookNoHandler(x *exam) string {
	x.addLog(func(f *Finding, g *explain.Group) {
		switch {
		case g.Severity == Info && g.Count < many:
			f.Meaning = "Harmless. " + f.Meaning
			f.Remedies = nil
		case g.Count < again:
			f.Severity = Info
		case g.Count >= many:
			f.Severity = max(f.Severity, Warning)
		}
	})
	return x.logText()
}
