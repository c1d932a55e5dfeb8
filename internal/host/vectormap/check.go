package vectormap

import "fmt"

// counters checks a CPU's numbers against its bitmaps and slots, by the kernel's own arithmetic (kernel/irq/matrix.c).
// An offline CPU's are not maintained. Without the allocator, what is in use is counted in the table.
func (a *assembly) counters(c *CPU, s *cpuSweep) error {
	if !a.kernel.counted() {
		for _, slot := range c.Slots {
			if slot.State == StateLive || slot.State == StateCleanup {
				c.Allocated++
			}
		}
		return nil
	}
	if !c.Online {
		return nil
	}
	m := &a.kernel.layout.matrix
	size, system := int(m.allocSize.of(a.sweep.matrix)), int(m.systemInRange.of(a.sweep.matrix))
	used, legacy := make([]uint64, len(s.alloc)), make([]uint64, len(s.alloc))
	for _, slot := range c.Slots {
		switch slot.State {
		case StateLive, StateCleanup:
			setBit(used, slot.Vector)
			setBit(legacy, slot.Vector)
		case StateLegacy:
			setBit(legacy, slot.Vector)
		}
	}
	switch free := size - system - c.Managed - (c.Allocated - c.ManagedAllocated); {
	case weight(s.alloc) != c.Allocated:
		return fmt.Errorf("%d vectors allocated, %d marked", c.Allocated, weight(s.alloc))
	case weight(s.managed) != c.Managed:
		return fmt.Errorf("%d vectors managed, %d marked", c.Managed, weight(s.managed))
	case free != c.Available:
		return fmt.Errorf("%d vectors available, %d by count", c.Available, free)
	case !within(used, s.alloc):
		return fmt.Errorf("an interrupt has a vector that is not allocated")
	case !within(s.alloc, legacy):
		return fmt.Errorf("an allocated vector has no interrupt")
	}
	return nil
}

// totals checks the sums over the online CPUs and fills in the one that the kernel does not keep.
func (a *assembly) totals() error {
	g := &a.m.Global
	var online, available, allocated, managed int
	for _, c := range a.m.CPUs {
		if c.Online {
			online++
			available += c.Available
			allocated += c.Allocated
			managed += c.Managed
		}
	}
	for number, q := range a.irqs {
		if q.Vector != 0 && !q.Legacy && !a.live[number] {
			return fmt.Errorf("irq %d has CPU %d vector %d, where it is not", number, q.CPU, q.Vector)
		}
	}
	if !a.kernel.counted() {
		g.Online, g.Allocated = online, allocated
		return nil
	}
	g.Managed = managed
	switch {
	case online != g.Online:
		return fmt.Errorf("%d CPUs online, %d by count", g.Online, online)
	case available != g.Available:
		return fmt.Errorf("%d vectors available, %d by count", g.Available, available)
	case allocated != g.Allocated:
		return fmt.Errorf("%d vectors allocated, %d by count", g.Allocated, allocated)
	}
	return nil
}
