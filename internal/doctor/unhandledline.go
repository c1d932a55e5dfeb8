package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host"
)

// lookUnhandledLines reports lines that nobody cared for, with the likely culprit, and whether they work again.
func lookUnhandledLines(x *exam) string {
	seen := map[int]bool{}
	for _, g := range x.groups() {
		f := x.logFinding(g)
		seen[g.IRQ()] = true
		if q := x.here(g, g.IRQ()); q != nil {
			x.lineNow(&f, q, g)
		}
		x.add(f)
	}
	x.disabledNow(seen)
	return x.logText()
}

// lineNow adds what the machine shows of the line today.
func (x *exam) lineNow(f *Finding, q *host.IRQ, g *explain.Group) {
	f.Evidence = append(f.Evidence, row(q))
	r, sampled := x.rates[q.Number]
	switch {
	case q.Debug != nil && slices.Contains(q.Debug.Flags, disabledFlag):
		f.Evidence = append(f.Evidence, Evidence{From: debugFile(q), Value: disabledFlag})
		f.Meaning = "It is switched off now. " + f.Meaning
	case q.Debug != nil, sampled && r.Total > 0:
		f.Severity = min(f.Severity, Notice)
		f.Meaning = "The line works again: a handler that was added enables it. It will be switched off again unless the cause is gone. " + f.Meaning
	}
	if culprit := x.culprit(q, g.Handlers); culprit != "" {
		f.Meaning = culprit + " " + f.Meaning
	}
}

const disabledFlag = "IRQS_SPURIOUS_DISABLED"

func debugFile(q *host.IRQ) string { return fmt.Sprintf("/sys/kernel/debug/irq/irqs/%d", q.Number) }

// culprit names who probably raises a line that nobody handles: a device on the wire that no driver serves. One that
// uses MSI has its line switched off, and host and ISA bridges have none.
func (x *exam) culprit(q *host.IRQ, handlers []explain.Handler) string {
	var silent []string
	for _, d := range x.m.Devices {
		if d.Line == q.Number && d.Driver == "" && d.Mode == "" && !strings.HasPrefix(d.Class, "0600") && !strings.HasPrefix(d.Class, "0601") {
			silent = append(silent, deviceName(d))
		}
	}
	switch {
	case len(silent) == 1:
		return fmt.Sprintf("The likely culprit is %s: it is wired to this line and has no driver.", silent[0])
	case len(silent) > 1:
		return fmt.Sprintf("The likely culprits are those on this line without a driver: %s.", strings.Join(silent, ", "))
	case len(q.Devices) == 1 && len(handlers) <= 1:
		return fmt.Sprintf("The likely culprit is %s, the only device on this line.", deviceName(q.Devices[0]))
	case len(q.Devices) > 1:
		var all []string
		for _, d := range q.Devices {
			all = append(all, deviceName(d))
		}
		return fmt.Sprintf("It is one of the devices on this line: %s.", strings.Join(all, ", "))
	}
	return ""
}

// disabledNow reports lines that debugfs shows as switched off and of which the log says nothing any more.
func (x *exam) disabledNow(seen map[int]bool) {
	for i := range x.m.IRQs {
		q := &x.m.IRQs[i]
		if seen[q.Number] || q.Debug == nil || !slices.Contains(q.Debug.Flags, disabledFlag) {
			continue
		}
		x.add(Finding{
			Severity: Serious, Title: fmt.Sprintf("irq %d is switched off, because nobody handled it", q.Number), Vectors: []string{q.Name()},
			Evidence: []Evidence{{From: debugFile(q), Value: disabledFlag}, row(q)},
			Meaning:  strings.TrimSpace(x.culprit(q, nil) + " " + explain.FindMessage("disabling-irq").Meaning),
			Remedies: []Remedy{{Do: "See who is on the line.", Command: "ivt who " + q.Name()},
				{Do: "Reload the driver of a device on the line: a new handler enables it again.", Command: "modprobe -r MODULE && modprobe MODULE", Risk: "The device stops meanwhile."}},
		})
	}
}
