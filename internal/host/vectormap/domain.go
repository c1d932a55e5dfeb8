package vectormap

import (
	"fmt"
	"strconv"
	"strings"
)

// parseDomain reads domains/VECTOR: some totals, then a line a CPU with its counters and allocated vectors.
func parseDomain(text string) (*Map, error) {
	m := &Map{CPUs: []CPU{}, IRQs: []IRQ{}, Global: Global{Online: Unknown, First: Unknown, End: Unknown}}
	table := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "| CPU |"):
			table = true
		case table && line != "":
			if err := m.domainCPU(line); err != nil {
				return nil, err
			}
		case !table:
			if err := m.domainTotal(line); err != nil {
				return nil, err
			}
		}
	}
	if !table || m.Global.Online != len(m.CPUs) {
		return nil, fmt.Errorf("%s: %d CPUs online, %d shown", debugDomain, m.Global.Online, len(m.CPUs))
	}
	m.Global.boundaries(firstExternal, m.end())
	return m, nil
}

// firstExternal is FIRST_EXTERNAL_VECTOR: the 32 below are the processor's exceptions.
const firstExternal = 0x20

// end finds where the vectors for devices end, which the file does not say: each CPU has so many of them, free or not,
// and they follow each other but for those that the kernel keeps.
func (m *Map) end() int {
	if len(m.CPUs) == 0 {
		return firstExternal
	}
	kept := map[int]bool{}
	for _, v := range m.Global.System {
		kept[v] = true
	}
	c, v := &m.CPUs[0], firstExternal
	for n := c.Available + c.Managed + c.Allocated - c.ManagedAllocated; n > 0 && v < 4096; v++ {
		if !kept[v] {
			n--
		}
	}
	return v
}

// domainTotal reads "Global available:    397" and its like; other lines describe the domain itself.
func (m *Map) domainTotal(line string) (err error) {
	key, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	g := &m.Global
	switch key {
	case "Online bitmaps":
		g.Online, err = strconv.Atoi(value)
	case "Global available":
		g.Available, err = strconv.Atoi(value)
	case "Global reserved":
		g.Reserved, err = strconv.Atoi(value)
	case "Total allocated":
		g.Allocated, err = strconv.Atoi(value)
	case "System":
		_, ranges, _ := strings.Cut(value, ":")
		g.System, err = numbers(ranges)
	}
	if err != nil {
		return fmt.Errorf("%s: %q: %w", debugDomain, line, err)
	}
	return nil
}

// domainCPU reads "0   198     0     0     5  33-37": number, available, managed, managed allocated, allocated, vectors.
func (m *Map) domainCPU(line string) error {
	f := strings.Fields(line)
	if len(f) < 5 || len(f) > 6 {
		return fmt.Errorf("%s: %q is no line of a CPU", debugDomain, line)
	}
	var n [5]int
	var err error
	for i := range n {
		if n[i], err = strconv.Atoi(f[i]); err != nil {
			return fmt.Errorf("%s: %q: %w", debugDomain, line, err)
		}
	}
	c := CPU{Number: n[0], Online: true, Available: n[1], Managed: n[2], ManagedAllocated: n[3], Allocated: n[4]}
	m.Global.Managed += c.Managed
	if len(f) == 6 {
		vectors, err := numbers(f[5])
		if err != nil {
			return fmt.Errorf("%s: %q: %w", debugDomain, line, err)
		}
		for _, v := range vectors {
			c.Slots = append(c.Slots, Slot{Vector: v, IRQ: Unknown})
		}
	}
	m.CPUs = append(m.CPUs, c)
	return nil
}

// place puts the interrupts into the allocated slots. It fails if one has no slot or a slot has none: the files were not
// of the same moment.
func (m *Map) place(irqs []IRQ) error {
	for _, q := range irqs {
		if q.Legacy {
			m.IRQs = append(m.IRQs, q)
			continue
		}
		if q.Vector != 0 && !m.put(q.CPU, Slot{Vector: q.Vector, State: StateLive, IRQ: q.Number, Managed: q.Managed}) {
			return fmt.Errorf("irq %d has CPU %d vector %d, which is not allocated", q.Number, q.CPU, q.Vector)
		}
		if q.PreviousVector != 0 && !m.put(q.PreviousCPU, Slot{Vector: q.PreviousVector, State: StateCleanup, IRQ: q.Number}) {
			return fmt.Errorf("irq %d has CPU %d vector %d to clean up, which is not allocated", q.Number, q.PreviousCPU, q.PreviousVector)
		}
		m.IRQs = append(m.IRQs, q)
	}
	for i := range m.CPUs {
		c := &m.CPUs[i]
		for j := range c.Slots {
			if err := m.legacy(c, &c.Slots[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// put fills one allocated slot, once.
func (m *Map) put(cpu int, slot Slot) bool {
	c := m.CPU(cpu)
	if c == nil {
		return false
	}
	for i := range c.Slots {
		if c.Slots[i].Vector == slot.Vector && c.Slots[i].State == "" {
			c.Slots[i] = slot
			return true
		}
	}
	return false
}

// legacy explains an allocated slot that no interrupt claimed: the old PIC's have their vectors on every CPU.
func (m *Map) legacy(c *CPU, s *Slot) error {
	if s.State != "" {
		return nil
	}
	for _, q := range m.IRQs {
		if q.Legacy && q.Vector == s.Vector {
			s.State, s.IRQ = StateLegacy, q.Number
			return nil
		}
	}
	return fmt.Errorf("CPU %d vector %d is allocated to no interrupt", c.Number, s.Vector)
}
