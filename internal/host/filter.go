package host

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/internal/host/interrupts"
	"github.com/ivtd/ivt/irq"
)

// A Filter chooses rows. The zero Filter chooses all; set fields must all hold.
type Filter struct {
	Target string // an irq number, irq:36, a vector, a PCI address, an interface, a block device, a handler, a driver
	Held   bool   // has a handler
	Free   bool   // has none; such irqs are there with PartDescriptors only
	PID    int    // a process with this pid holds it (PartHolders), or it is the thread of a handler (PartThreads)
	Unit   string // a process of this unit holds it (PartHolders)
	Driver string // driver, or the name of a handler
	CPU    *int   // its effective affinity has the CPU (PartAffinity), or it fired there (PartCounts)
}

// Select returns the irqs of m that f chooses, in order; none is no error. A Target that m does not have is
// irq.ErrNoSuchDevice, Held and Free together are irq.ErrInvalidParameter.
func (m *Machine) Select(f Filter) ([]*IRQ, error) {
	if f.Held && f.Free {
		return nil, &irq.Error{Code: irq.ErrInvalidParameter, Operation: "list", Reason: irq.ReasonMalformed, Detail: "nothing is both held and free"}
	}
	chosen, target := []*IRQ{}, false
	for i := range m.IRQs {
		q := &m.IRQs[i]
		if f.Target != "" && !q.is(f.Target) {
			continue
		}
		target = true
		if f.admits(m, q) {
			chosen = append(chosen, q)
		}
	}
	if f.Target != "" && !target {
		return nil, &irq.Error{Code: irq.ErrNoSuchDevice, Operation: "list", Name: f.Target, Reason: irq.ReasonNoSuchSource,
			Detail: "no irq, device, interface, handler or driver here has this name", Remedies: []string{"ivt list shows all", "ivt who " + f.Target + " also looks among processes and GPIO lines"}}
	}
	return chosen, nil
}

func (f Filter) admits(m *Machine, q *IRQ) bool {
	switch {
	case f.Held && len(q.Handlers) == 0, f.Free && len(q.Handlers) > 0:
		return false
	case f.PID != 0 && !q.heldBy(f.PID):
		return false
	case f.Unit != "" && !slices.ContainsFunc(q.Holders, func(h Holder) bool { return h.Unit == f.Unit }):
		return false
	case f.Driver != "" && !q.drivenBy(f.Driver):
		return false
	case f.CPU != nil && !q.onCPU(m, *f.CPU):
		return false
	}
	return true
}

// is reports whether a target names q.
func (q *IRQ) is(target string) bool {
	if n, err := strconv.Atoi(strings.TrimPrefix(target, "irq:")); err == nil {
		return n == q.Number
	}
	if v, err := irq.ParseVector(target); err == nil && v == q.Vector {
		return true
	}
	address := strings.ToLower(strings.TrimPrefix(target, "pci:"))
	if len(address) == len("3b:00.0") {
		address = "0000:" + address
	}
	name := strings.TrimPrefix(target, "/dev/")
	for _, d := range q.Devices {
		if interrupts.IsPCIAddress(address) && d.Address == address || slices.Contains(d.Net, name) || slices.Contains(d.Block, name) ||
			d.UIO != "" && d.UIO == name || d.Source == target {
			return true
		}
	}
	return q.drivenBy(name)
}

func (q *IRQ) drivenBy(name string) bool {
	return slices.Contains(strings.Split(q.Driver, ", "), name) || slices.ContainsFunc(q.Handlers, func(h Handler) bool { return h.Name == name })
}

func (q *IRQ) heldBy(pid int) bool {
	return slices.ContainsFunc(q.Holders, func(h Holder) bool { return h.PID == pid }) || slices.ContainsFunc(q.Handlers, func(h Handler) bool { return h.Thread == pid })
}

// onCPU: where an irq goes now, or has gone since boot where the kernel does not tell.
func (q *IRQ) onCPU(m *Machine, cpu int) bool {
	if q.Affinity != nil && q.Affinity.Effective.Known() {
		return q.Affinity.Effective.Has(cpu)
	}
	return m.Count(q, cpu) > 0
}
