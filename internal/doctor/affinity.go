package doctor

import (
	"fmt"

	"github.com/ivtd/ivt/internal/host"
)

// lookAffinity reports interrupts that are not where they were asked to be.
func lookAffinity(x *exam) string {
	looked := 0
	for i := range x.m.IRQs {
		q := &x.m.IRQs[i]
		a := q.Affinity
		if a == nil || a.Asked.Len() == 0 || a.Effective.Len() == 0 {
			continue
		}
		looked++
		if x.ignored(q) {
			x.addIgnored(q)
		}
	}
	return fmt.Sprintf("the affinities of %s", plural(looked, "interrupt"))
}

// ignored reports whether q is on none of the CPUs that were asked for though one of them is online. A managed
// interrupt whose CPUs are offline is shut down and only seems to be elsewhere.
func (x *exam) ignored(q *host.IRQ) bool {
	a := q.Affinity
	return a.Managed != host.Yes && len(q.Handlers) > 0 && a.Asked.And(a.Effective).Len() == 0 && a.Asked.And(x.m.CPUs.Online).Len() > 0
}

func (x *exam) addIgnored(q *host.IRQ) {
	a := q.Affinity
	dir := fmt.Sprintf("/proc/irq/%d/", q.Number)
	f := Finding{
		Severity: Notice, Title: fmt.Sprintf("irq %d was asked onto CPU %s and is on CPU %s", q.Number, a.Asked, a.Effective), Vectors: []string{q.Name()},
		Evidence: []Evidence{{From: dir + "smp_affinity_list", Value: a.Asked.String()}, {From: dir + "effective_affinity_list", Value: a.Effective.String()}, row(q)},
		Meaning:  "What was asked for has no effect: the CPUs that were asked for had no vector left when it was placed, or its controller could not go there.",
		Remedies: []Remedy{{Do: "Ask again; the error tells why not.", Command: "ivt affinity " + q.Name() + " " + a.Asked.String()}, {Do: "See how full the CPUs are.", Command: "ivt list --map"}},
	}
	if r, ok := x.rates[q.Number]; ok && r.Total == 0 {
		f.Severity = Info
		f.Meaning = "It did not fire while it was watched. Without interrupt remapping a move waits for the next interrupt: it takes effect then."
		f.Remedies = nil
	}
	x.add(f)
}
