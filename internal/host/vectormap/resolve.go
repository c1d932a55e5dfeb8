package vectormap

import "fmt"

// What a slot of vector_irq holds besides a pointer to an interrupt (arch/x86/include/asm/hw_irq.h).
const (
	slotUnused      uint64 = 0
	slotShutdown    uint64 = ^uint64(0)     // VECTOR_SHUTDOWN, (void *)-1
	slotRetriggered uint64 = ^uint64(0) - 1 // VECTOR_RETRIGGERED, (void *)-2
)

// maxDepth bounds the chain of domains that an interrupt goes through: 1 for the old PIC, 2 plain, 3 with remapping.
const maxDepth = 8

// A place is what the kernel says of one interrupt: where it is delivered.
type place struct {
	irq    IRQ
	legacy bool // the chain ends at the old PIC, without a domain of vectors
}

// resolve reads every interrupt that the sweep points to. A pointer that leads nowhere plausible has no entry: whoever
// needs it finds the map torn.
func (k *kernel) resolve(s *sweep) map[uint64]*place {
	places := map[uint64]*place{}
	clear(k.chips)
	for _, cpu := range s.cpus {
		for _, slot := range words(cpu.row) {
			if _, done := places[slot]; done || !isKernelPointer(slot) {
				continue
			}
			p, err := k.resolveOne(slot)
			if err != nil {
				p = nil
			}
			places[slot] = p
		}
	}
	return places
}

// resolveOne follows an interrupt (struct irq_desc) to the root of its domains, where its vector is.
func (k *kernel) resolveOne(desc uint64) (*place, error) {
	d := &k.layout.data
	at := desc + uint64(k.layout.desc.data.offset)
	p := &place{irq: IRQ{CPU: Unknown}}
	for depth := range maxDepth {
		data, err := bytesAt(k.memory, at, d.size)
		if err != nil {
			return nil, err
		}
		number := int(d.irq.of(data))
		if depth > 0 && number != p.irq.Number {
			return nil, fmt.Errorf("irq %d has irq %d for its parent", p.irq.Number, number)
		}
		p.irq.Number = number
		chip := d.chip.of(data)
		name, err := k.chipName(chip)
		if err != nil {
			return nil, err
		}
		p.irq.Chips = append(p.irq.Chips, name)
		if at = d.parent.of(data); at != 0 {
			continue
		}
		if k.isLAPIC(chip, name) {
			return p, k.readVector(p, d.chipPrivate.of(data))
		}
		p.legacy = depth == 0
		return p, nil
	}
	return nil, fmt.Errorf("irq %d has more than %d domains", p.irq.Number, maxDepth)
}

// isLAPIC reports whether a chip is the one whose interrupts have vectors. Where its address is not known its name tells
// (lapic_controller in arch/x86/kernel/apic/vector.c); that the vector is where its CPU's table says is checked anyway.
func (k *kernel) isLAPIC(chip uint64, name string) bool {
	if k.symbols.lapic == 0 {
		return name == "APIC"
	}
	return chip == k.symbols.lapic
}

// readVector fills in what struct apic_chip_data says.
func (k *kernel) readVector(p *place, at uint64) error {
	a := &k.layout.apic
	data, err := bytesAt(k.memory, at, a.size)
	if err != nil {
		return err
	}
	if n := int(a.irq.of(data)); n != p.irq.Number {
		return fmt.Errorf("irq %d has the vector of irq %d", p.irq.Number, n)
	}
	q := &p.irq
	if q.Vector = int(a.vector.of(data)); q.Vector != 0 {
		q.CPU = int(a.cpu.of(data))
	}
	if q.PreviousVector = int(a.previousVector.of(data)); q.PreviousVector != 0 {
		q.PreviousCPU = int(a.previousCPU.of(data))
	}
	q.Moving, q.Managed = a.moving.of(data) != 0, a.managed.of(data) != 0
	q.CanReserve, q.Reserved = a.canReserve.of(data) != 0, a.hasReserved.of(data) != 0
	return nil
}

// chipName reads a chip's name once a pass: MSI chips belong to devices and go with them (since 6.2).
func (k *kernel) chipName(chip uint64) (string, error) {
	if name, ok := k.chips[chip]; ok {
		return name, nil
	}
	head, err := bytesAt(k.memory, chip, k.layout.chip.size)
	if err != nil {
		return "", err
	}
	var name string
	if at := k.layout.chip.name.of(head); at != 0 {
		if name, err = stringAt(k.memory, at); err != nil {
			return "", err
		}
	}
	k.chips[chip] = name
	return name, nil
}
