package doctor

// again is how many interrupts at one unowned vector are no accident any more, and many is a fault.
const (
	again = 10
	many  = 1000
)

// lookNoHandler reports interrupts at vectors without owner. Few of them are harmless, whatever their level in the log.
func lookNoHandler(x *exam) string {
	for _, g := range x.groups() {
		f := x.logFinding(g)
		switch {
		case g.Severity == Info && g.Count < many:
			f.Meaning = "Harmless. " + f.Meaning
			f.Remedies = nil
		case g.Count < again:
			f.Severity = Info
		case g.Count >= many:
			f.Severity = max(f.Severity, Warning)
		}
		x.add(f)
	}
	return x.logText()
}
