package doctor

import (
	"fmt"

	"github.com/ivtd/ivt/internal/host"
)

// busyLine is the rate from which sharing a line costs something, a second.
const busyLine = 2000

// lookShared reports lines that several devices share while one of them is busy: each handler is asked each time.
func lookShared(x *exam) string {
	lines := 0
	for i := range x.m.IRQs {
		q := &x.m.IRQs[i]
		if len(q.Handlers) < 2 || q.MSI != "" || sameOwner(q) {
			continue
		}
		lines++
		if r, how, ok := x.rate(q); ok && r >= busyLine {
			x.addShared(q, r, how)
		}
	}
	return plural(lines, "shared line")
}

// sameOwner reports whether all handlers have one name: a driver's own business.
func sameOwner(q *host.IRQ) bool {
	for _, h := range q.Handlers {
		if h.Name != q.Handlers[0].Name {
			return false
		}
	}
	return true
}

func (x *exam) addShared(q *host.IRQ, rate float64, how string) {
	n := q.Number
	x.add(Finding{
		Severity: Notice, Title: fmt.Sprintf("%d handlers share the busy irq %d", len(q.Handlers), n), Vectors: []string{q.Name()},
		Evidence: []Evidence{{From: "/proc/interrupts", Value: fmt.Sprintf("%.0f interrupts a second %s", rate, how)}, row(q)},
		Meaning: fmt.Sprintf("On a shared line every handler is asked at every interrupt, so one busy device costs all of them: %s. /proc/interrupts counts the line and not the devices: which of them is the noisy one, a trace tells.",
			names(q)),
		Remedies: []Remedy{
			{Do: "Count for ten seconds whose interrupts they are.", Command: fmt.Sprintf(`bpftrace -e 'tracepoint:irq:irq_handler_entry /args->irq == %d/ { @on[cpu] = str(args->name) } tracepoint:irq:irq_handler_exit /args->irq == %[1]d && args->ret/ { @handled[@on[cpu]] = count() } interval:s:10 { clear(@on); exit() }'`, n),
				Risk: "A trace costs a little on each interrupt while it runs."},
			{Do: "Let the busy device use MSI or MSI-X, if its driver has an option for it, or move the card to a slot with a line of its own.", Risk: "The device stops meanwhile."},
		},
	})
}
