package vectormap

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// A layout tells where the members of the kernel's structures are. All of it comes from the running kernel's BTF: the
// structures differ between versions (bitmaps are inside struct irq_matrix and struct cpumap in 6.1, behind pointers in
// 6.12), so nothing here is a constant.
type layout struct {
	matrix  matrixLayout
	cpumap  cpumapLayout
	desc    descLayout
	data    dataLayout
	chip    chipLayout
	apic    apicLayout
	vectors int // slots of a CPU, NR_VECTORS
}

type matrixLayout struct { // struct irq_matrix, kernel/irq/matrix.c
	size                                                                int
	bits, start, end, allocSize                                         member
	available, reserved, allocated, systemInRange, online, maps, system member
}

type cpumapLayout struct { // struct cpumap, kernel/irq/matrix.c
	size                                                                       int
	available, allocated, managed, managedAllocated, online, alloc, managedMap member
}

type descLayout struct { // struct irq_desc, include/linux/irqdesc.h
	size int
	data member
}

type dataLayout struct { // struct irq_data, include/linux/irq.h
	size                           int
	irq, chip, parent, chipPrivate member
}

type chipLayout struct { // struct irq_chip, include/linux/irq.h
	size int
	name member
}

type apicLayout struct { // struct apic_chip_data, arch/x86/kernel/apic/vector.c
	size                                          int
	vector, cpu, previousVector, previousCPU, irq member
	moving, managed, canReserve, hasReserved      member
}

// A member is one member of a structure.
type member struct {
	offset, size   int // bytes
	shift, bits    int // of a bit field within size bytes; bits is 0 for others
	pointer, array bool
	elements       int // of an array; 0 for a flexible one
}

// of returns the member's value in buf, which holds the structure.
func (m member) of(buf []byte) uint64 {
	var word [8]byte
	copy(word[:], buf[m.offset:m.offset+m.size])
	v := binary.LittleEndian.Uint64(word[:])
	if m.bits > 0 {
		v = v >> m.shift & (1<<m.bits - 1)
	}
	return v
}

// newLayout reads the layout from the kernel's types. It fails if a structure or member is missing or not what this
// package knows how to read.
func newLayout(spec *btf.Spec) (*layout, error) {
	var l layout
	m, c, a := &l.matrix, &l.cpumap, &l.apic
	err := errors.Join(
		structure(spec, "irq_matrix", &m.size, fields{
			"matrix_bits": &m.bits, "alloc_start": &m.start, "alloc_end": &m.end, "alloc_size": &m.allocSize,
			"global_available": &m.available, "global_reserved": &m.reserved, "total_allocated": &m.allocated,
			"systembits_inalloc": &m.systemInRange, "online_maps": &m.online, "maps": &m.maps, "system_map": &m.system}),
		structure(spec, "cpumap", &c.size, fields{
			"available": &c.available, "allocated": &c.allocated, "managed": &c.managed, "online": &c.online,
			"managed_allocated": &c.managedAllocated, "alloc_map": &c.alloc, "managed_map": &c.managedMap}),
		structure(spec, "irq_desc", &l.desc.size, fields{"irq_data": &l.desc.data}),
		structure(spec, "irq_data", &l.data.size, fields{
			"irq": &l.data.irq, "chip": &l.data.chip, "parent_data": &l.data.parent, "chip_data": &l.data.chipPrivate}),
		structure(spec, "irq_chip", &l.chip.size, fields{"name": &l.chip.name}),
		structure(spec, "apic_chip_data", &a.size, fields{
			"vector": &a.vector, "cpu": &a.cpu, "prev_vector": &a.previousVector, "prev_cpu": &a.previousCPU, "irq": &a.irq,
			"move_in_progress": &a.moving, "is_managed": &a.managed, "can_reserve": &a.canReserve, "has_reserved": &a.hasReserved}),
	)
	if err != nil {
		return nil, err
	}
	l.vectors, err = vectorCount(spec)
	return &l, err
}

type fields map[string]*member

// structure finds the one structure of this name and fills in where each of its wanted members is.
func structure(spec *btf.Spec, name string, size *int, wanted fields) error {
	var s *btf.Struct
	if err := spec.TypeByName(name, &s); err != nil {
		return fmt.Errorf("struct %s in BTF: %w", name, err)
	}
	*size = int(s.Size)
	found := make(fields)
	if err := collect(s.Members, 0, wanted, found); err != nil {
		return fmt.Errorf("struct %s in BTF: %w", name, err)
	}
	for member, into := range wanted {
		m := found[member]
		if m == nil {
			return fmt.Errorf("struct %s in BTF has no member %s", name, member)
		}
		if !m.array && m.offset+m.size > int(s.Size) {
			return fmt.Errorf("struct %s in BTF: member %s lies outside", name, member)
		}
		*into = *m
	}
	return nil
}

// collect gathers the wanted members, also those inside anonymous structures and unions.
func collect(members []btf.Member, base btf.Bits, wanted, found fields) error {
	for _, m := range members {
		if m.Name == "" {
			var inner []btf.Member
			switch t := btf.UnderlyingType(m.Type).(type) {
			case *btf.Struct:
				inner = t.Members
			case *btf.Union:
				inner = t.Members
			}
			if err := collect(inner, base+m.Offset, wanted, found); err != nil {
				return err
			}
		} else if wanted[m.Name] != nil {
			one, err := newMember(m, base)
			if err != nil {
				return err
			}
			found[m.Name] = &one
		}
	}
	return nil
}

func newMember(m btf.Member, base btf.Bits) (member, error) {
	size, err := btf.Sizeof(m.Type)
	if err != nil {
		return member{}, fmt.Errorf("member %s: %w", m.Name, err)
	}
	at := base + m.Offset
	one := member{offset: int(at / 8), size: size}
	switch t := btf.UnderlyingType(m.Type).(type) {
	case *btf.Pointer:
		one.pointer = true
	case *btf.Array:
		one.array, one.elements = true, int(t.Nelems)
	}
	if m.BitfieldSize > 0 {
		// The bit number may exceed the declared type's own size: address the bytes that hold the bits.
		one.shift, one.bits = int(at%8), int(m.BitfieldSize)
		one.size = (one.shift + one.bits + 7) / 8
	} else if !one.array && !isComposite(m.Type) && size > 8 {
		return member{}, fmt.Errorf("member %s has %d bytes", m.Name, size)
	}
	return one, nil
}

func isComposite(t btf.Type) bool {
	_, ok := btf.UnderlyingType(t).(*btf.Struct)
	return ok
}

// vectorCount returns the length of vector_irq_t, which is "struct irq_desc *[NR_VECTORS]" (arch/x86/include/asm/hw_irq.h).
func vectorCount(spec *btf.Spec) (int, error) {
	var t *btf.Typedef
	if err := spec.TypeByName("vector_irq_t", &t); err != nil {
		return 0, fmt.Errorf("vector_irq_t in BTF: %w", err)
	}
	array, ok := btf.UnderlyingType(t.Type).(*btf.Array)
	if !ok {
		return 0, errors.New("vector_irq_t in BTF is no array")
	}
	if _, ok := btf.UnderlyingType(array.Type).(*btf.Pointer); !ok || array.Nelems == 0 || array.Nelems > 4096 {
		return 0, fmt.Errorf("vector_irq_t in BTF is no table of interrupts (%d elements)", array.Nelems)
	}
	return int(array.Nelems), nil
}
