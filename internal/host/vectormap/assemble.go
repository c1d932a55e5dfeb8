package vectormap

import (
	"fmt"
	"maps"
	"slices"
)

// An assembly turns one sweep and what its pointers resolved to into a map. It fails if they do not fit together, which
// means that the kernel changed the table meanwhile.
type assembly struct {
	kernel *kernel
	sweep  *sweep
	places map[uint64]*place
	m      *Map
	irqs   map[int]*IRQ
	live   map[int]bool
}

func (k *kernel) assemble(s *sweep, places map[uint64]*place) (*Map, error) {
	a := &assembly{kernel: k, sweep: s, places: places, irqs: map[int]*IRQ{}, live: map[int]bool{}}
	a.m = &Map{CPUs: []CPU{}, IRQs: []IRQ{}, Global: k.global(s)}
	for i := range k.cpus {
		if err := a.cpu(i); err != nil {
			return nil, fmt.Errorf("CPU %d: %w", k.cpus[i], err)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(a.irqs)) {
		a.m.IRQs = append(a.m.IRQs, *a.irqs[number])
	}
	return a.m, a.totals()
}

// global reads the totals.
func (k *kernel) global(s *sweep) Global {
	if !k.counted() {
		return Global{First: Unknown, End: Unknown, Available: Unknown, Reserved: Unknown, Managed: Unknown}
	}
	m := &k.layout.matrix
	g := Global{Online: int(m.online.of(s.matrix)), Available: int(m.available.of(s.matrix)),
		Allocated: int(m.allocated.of(s.matrix)), Reserved: int(m.reserved.of(s.matrix)), System: members(s.system)}
	g.boundaries(int(m.start.of(s.matrix)), int(m.end.of(s.matrix)))
	return g
}

// head reads a CPU's counters.
func (a *assembly) head(i int) CPU {
	k, s := a.kernel, &a.sweep.cpus[i]
	c := &k.layout.cpumap
	if !k.counted() {
		return CPU{Number: k.cpus[i], Online: k.online[k.cpus[i]], Available: Unknown, Managed: Unknown, ManagedAllocated: Unknown}
	}
	return CPU{Number: k.cpus[i], Online: c.online.of(s.head) != 0,
		Available: int(c.available.of(s.head)), Allocated: int(c.allocated.of(s.head)),
		Managed: int(c.managed.of(s.head)), ManagedAllocated: int(c.managedAllocated.of(s.head))}
}

// cpu adds the CPU with this index.
func (a *assembly) cpu(i int) error {
	s, cpu := &a.sweep.cpus[i], a.head(i)
	for vector, value := range words(s.row) {
		slot, err := a.slot(cpu.Number, vector, value)
		if err != nil && cpu.Online {
			return fmt.Errorf("vector %d: %w", vector, err)
		}
		// What an offline CPU's table still points to is delivered elsewhere.
		if err != nil {
			slot = Slot{}
		}
		slot.Managed = hasBit(s.managed, vector)
		if slot.State == "" && slot.Managed {
			slot.State, slot.IRQ = StateManaged, Unknown
		}
		if slot.State != "" {
			slot.Vector = vector
			cpu.Slots = append(cpu.Slots, slot)
		}
	}
	if err := a.counters(&cpu, s); err != nil {
		return err
	}
	// A CPU that was never online has nothing to show.
	if cpu.Online || cpu.Available > 0 || cpu.Managed > 0 || cpu.Slots != nil {
		a.m.CPUs = append(a.m.CPUs, cpu)
	}
	return nil
}

// slot classifies one entry of vector_irq.
func (a *assembly) slot(cpu, vector int, value uint64) (Slot, error) {
	switch value {
	case slotUnused:
		return Slot{}, nil
	case slotShutdown:
		return Slot{State: StateShutdown, IRQ: Unknown}, nil
	case slotRetriggered:
		return Slot{State: StateRetriggered, IRQ: Unknown}, nil
	}
	p := a.places[value]
	if p == nil {
		return Slot{}, fmt.Errorf("%#x is no interrupt", value)
	}
	q := &p.irq
	slot := Slot{IRQ: q.Number}
	switch {
	case p.legacy:
		slot.State, q.Legacy, q.Vector = StateLegacy, true, vector
	case q.Vector == vector && q.CPU == cpu:
		if a.live[q.Number] {
			return Slot{}, fmt.Errorf("irq %d is live twice", q.Number)
		}
		slot.State, a.live[q.Number] = StateLive, true
	case q.PreviousVector == vector && q.PreviousCPU == cpu:
		slot.State = StateCleanup
	default:
		return Slot{}, fmt.Errorf("irq %d is at CPU %d vector %d", q.Number, q.CPU, q.Vector)
	}
	if other := a.irqs[q.Number]; other != nil && other != q {
		return Slot{}, fmt.Errorf("irq %d has two descriptors", q.Number)
	}
	a.irqs[q.Number] = q
	return slot, nil
}
