package host

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ivtd/ivt/irq"
)

// A Delta is what happened between two pictures of one machine.
type Delta struct {
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Changes []Change  `json:"changes"`
	Rates   *RateSet  `json:"rates,omitempty"` // nil if the times or the boots do not allow them
	Notes   []string  `json:"notes,omitempty"` // "the machine was started anew in between"
}

// A Change is one difference.
type Change struct {
	What   string `json:"what"`           // one of the Changed constants
	IRQ    int    `json:"irq"`            // in the later picture, in the earlier one if it vanished; -1 if none is concerned
	Name   string `json:"name,omitempty"` // the irq's canonical name
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// What can change.
const (
	ChangedAppeared   = "appeared"
	ChangedVanished   = "vanished"
	ChangedRenumbered = "renumbered" // the same vector has another irq number
	ChangedMoved      = "moved"      // effective affinity
	ChangedAsked      = "asked"      // affinity that was asked for
	ChangedHandler    = "handler"
	ChangedHolder     = "holder"
	ChangedDriver     = "driver"
	ChangedTrigger    = "trigger"
	ChangedChip       = "chip"
	ChangedDisabled   = "disabled" // the kernel disabled it, or enabled it again (debugfs)
	ChangedCPUs       = "cpus"     // the set of online CPUs
	ChangedKernel     = "kernel"
	ChangedParameters = "parameters"
)

// Diff compares two pictures of one machine, the earlier one first, in the parts that both have.
func Diff(a, b *Machine) *Delta {
	d := &Delta{From: a.Taken, To: b.Taken, Changes: []Change{}}
	both := a.Parts & b.Parts
	if a.isBlind(blindProcesses) || b.isBlind(blindProcesses) {
		both &^= PartHolders
		d.Notes = append(d.Notes, "holders are not compared: one of the pictures does not show all processes")
	}
	d.add(ChangedKernel, -1, "", a.Kernel, b.Kernel)
	d.add(ChangedCPUs, -1, "", a.CPUs.Online.String(), b.CPUs.Online.String())
	if both&PartSystem != 0 {
		d.add(ChangedParameters, -1, "", strings.Join(a.Cmdline, " "), strings.Join(b.Cmdline, " "))
	}
	p := pair(a, b)
	for _, q := range p.vanished {
		d.Changes = append(d.Changes, Change{What: ChangedVanished, IRQ: q.Number, Name: q.Name(), Before: describe(q)})
	}
	for _, m := range p.matched {
		d.compare(m[0], m[1], both)
	}
	for _, q := range p.appeared {
		d.Changes = append(d.Changes, Change{What: ChangedAppeared, IRQ: q.Number, Name: q.Name(), After: describe(q)})
	}
	slices.SortStableFunc(d.Changes, func(x, y Change) int { return cmp.Compare(x.IRQ, y.IRQ) })
	d.rate(a, b)
	return d
}

func (d *Delta) rate(a, b *Machine) {
	if !a.Booted.IsZero() && !b.Booted.IsZero() && b.Booted.Sub(a.Booted).Abs() > 2*time.Second { // btime moves with the clock
		d.Notes = append(d.Notes, "the machine was started anew in between, so there are no rates")
		return
	}
	rates, err := Rates(a, b)
	if err != nil {
		d.Notes = append(d.Notes, "there are no rates: "+err.Error())
		return
	}
	d.Rates = rates
}

func (d *Delta) add(what string, number int, name, before, after string) {
	if before != after {
		d.Changes = append(d.Changes, Change{what, number, name, before, after})
	}
}

func (d *Delta) compare(p, q *IRQ, both Parts) {
	name := q.Name()
	if p.Number != q.Number {
		d.add(ChangedRenumbered, q.Number, name, fmt.Sprint("irq ", p.Number), fmt.Sprint("irq ", q.Number))
	}
	d.add(ChangedHandler, q.Number, name, handlerNames(p), handlerNames(q))
	d.add(ChangedChip, q.Number, name, chipOf(p), chipOf(q))
	d.add(ChangedTrigger, q.Number, name, p.Trigger, q.Trigger)
	if both&PartDevices != 0 {
		d.add(ChangedDriver, q.Number, name, p.Driver, q.Driver)
	}
	if both&PartHolders != 0 {
		d.add(ChangedHolder, q.Number, name, processesOf(p), processesOf(q))
	}
	if p.Affinity != nil && q.Affinity != nil {
		d.add(ChangedAsked, q.Number, name, p.Affinity.Asked.String(), q.Affinity.Asked.String())
		d.add(ChangedMoved, q.Number, name, p.Affinity.Effective.String(), q.Affinity.Effective.String())
	}
	if p.Debug != nil && q.Debug != nil {
		d.add(ChangedDisabled, q.Number, name, disabled(p), disabled(q))
	}
}

// pairs are the irqs of two pictures, matched.
type pairs struct {
	matched            [][2]*IRQ
	vanished, appeared []*IRQ
}

// pair matches by number where the number means the same interrupt, then by vector: a rebound driver gets other numbers.
func pair(a, b *Machine) (p pairs) {
	byVector := map[irq.Vector]*IRQ{}
	taken := map[*IRQ]bool{}
	for i := range a.IRQs {
		if q := &a.IRQs[i]; !q.Vector.IsZero() {
			byVector[q.Vector] = q
		}
	}
	for i := range b.IRQs {
		q := &b.IRQs[i]
		old := a.IRQ(q.Number)
		if old == nil || !old.Vector.IsZero() && !q.Vector.IsZero() && old.Vector != q.Vector {
			old = byVector[q.Vector] // nil for the zero Vector
		}
		if old == nil || taken[old] {
			p.appeared = append(p.appeared, q)
			continue
		}
		taken[old] = true
		p.matched = append(p.matched, [2]*IRQ{old, q})
	}
	for i := range a.IRQs {
		if q := &a.IRQs[i]; !taken[q] {
			p.vanished = append(p.vanished, q)
		}
	}
	return p
}

func describe(q *IRQ) string {
	parts := slices.DeleteFunc([]string{handlerNames(q), chipOf(q), q.Driver}, func(s string) bool { return s == "" })
	return strings.Join(parts, ", ")
}

func chipOf(q *IRQ) string {
	if q.HWIRQ < 0 {
		return q.Chip
	}
	return fmt.Sprintf("%s %d", q.Chip, q.HWIRQ)
}

func handlerNames(q *IRQ) string {
	names := make([]string, len(q.Handlers))
	for i, h := range q.Handlers {
		names[i] = h.Name
	}
	slices.Sort(names) // the order is that of their requests
	return strings.Join(names, ", ")
}

func processesOf(q *IRQ) string {
	var names []string
	for _, h := range q.Holders {
		if h.Kind == irq.HolderProcess {
			names = append(names, fmt.Sprintf("pid %d (%s)", h.PID, h.Command))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func disabled(q *IRQ) string {
	if q.Debug.Disabled() {
		return "disabled"
	}
	return "enabled"
}
