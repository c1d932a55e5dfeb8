package doctor

import (
	"fmt"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host"
)

// The rates from which interrupts are reported, a second. A line of 20,000 or a message of 200,000 on one CPU leaves
// that CPU little else to do; a network card that moderates its interrupts stays far below.
const (
	stormyLine    = 20_000
	stormyMessage = 200_000
	fastErrors    = 1
)

// lookStorms reports rates that stand out. A flood of work is nobody's fault: it is a warning only where the
// interrupts bear no fruit.
func lookStorms(x *exam) string {
	if x.Log != nil {
		fromLog(x)
	}
	for i := range x.m.IRQs {
		q := &x.m.IRQs[i]
		if r, ok := x.rates[q.Number]; ok && r.Total >= threshold(q) {
			x.addStorm(q, r)
		}
	}
	if r, ok := x.rows["ERR"]; ok && r.Total > fastErrors {
		x.add(Finding{Severity: Notice, Title: fmt.Sprintf("The local APICs report %.0f errors a second", r.Total),
			Evidence: []Evidence{{From: "/proc/interrupts", Value: fmt.Sprintf("ERR grew by %.1f a second over %.1f s", r.Total, x.report.Sampled)}},
			Meaning:  "Interrupt messages are damaged or sent to vectors that cannot be: bad hardware, or something that programs interrupt registers wrongly.",
			Remedies: []Remedy{{Do: "Look in the log for APIC errors and their status.", Command: "dmesg | grep -i 'APIC error'"}}})
	}
	return plural(len(x.rates), "rate") + fmt.Sprintf(" over %.1f s", x.report.Sampled)
}

func threshold(q *host.IRQ) float64 {
	if q.MSI == "" && q.Trigger == "level" {
		return stormyLine
	}
	return stormyMessage
}

func (x *exam) addStorm(q *host.IRQ, r host.Rate) {
	f := Finding{Severity: Notice, Title: fmt.Sprintf("irq %d (%s) fires %.0f times a second", q.Number, names(q), r.Total), Vectors: []string{q.Name()},
		Evidence: []Evidence{{From: "/proc/interrupts", Value: fmt.Sprintf("%.0f a second over %.1f s", r.Total, x.report.Sampled)}, row(q)},
		Meaning:  "That is more than a device needs to be served well. If it does as much work, it is a flood and nobody's fault; then let the device collect several events for one interrupt.",
		Remedies: []Remedy{{Do: "Watch it together with the device's own counters.", Command: "ivt top"}}}
	if d := q.Device; d != nil && len(d.Net) > 0 {
		f.Remedies = append(f.Remedies, Remedy{Do: "Let the card wait a little before it interrupts.", Command: "ethtool -C " + explain.ShellWord(d.Net[0]) + " adaptive-rx on", Risk: "Some microseconds more latency."})
	}
	if n := x.newUnhandled(q); n > 0 {
		f.Severity = Warning
		f.Evidence = append(f.Evidence, spuriousEvidence(q))
		f.Meaning = "Many of them are handled by nobody: this is a storm. At 99,900 of 100,000 the kernel switches the line off."
		f.Remedies = append(f.Remedies, Remedy{Do: "See who is on it, and stop the device that raises it.", Command: "ivt who " + q.Name()})
	}
	x.add(f)
}

// newUnhandled is how many unhandled interrupts of q the two pictures show to be new.
func (x *exam) newUnhandled(q *host.IRQ) uint64 {
	if q.Spurious == nil || x.Before == nil {
		return 0
	}
	p := x.Before.IRQ(q.Number)
	if p == nil || p.Spurious == nil || q.Spurious.Unhandled <= p.Spurious.Unhandled {
		return 0
	}
	return q.Spurious.Unhandled - p.Spurious.Unhandled
}
