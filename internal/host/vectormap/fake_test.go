package vectormap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// kind is the type of a member of a fake structure.
type kind int

const (
	u32 kind = iota
	boolean
	pointer
	bit
	bitsHere     // unsigned long map[4]
	bitsPointer  // unsigned long *map
	bitsFlexible // unsigned long map[], last
	embedded     // struct irq_data
)

type shape []struct {
	name string
	kind kind
}

// shapes are the kernel's structures in the form of 6.1, with the bitmaps inside, and of 6.12, with pointers to them.
func shapes(pointers bool) map[string]shape {
	system, alloc, managed := bitsHere, bitsHere, bitsHere
	if pointers {
		system, alloc, managed = bitsPointer, bitsFlexible, bitsPointer
	}
	return map[string]shape{
		"irq_matrix": {{"matrix_bits", u32}, {"alloc_start", u32}, {"alloc_end", u32}, {"alloc_size", u32}, {"global_available", u32},
			{"global_reserved", u32}, {"systembits_inalloc", u32}, {"total_allocated", u32}, {"online_maps", u32}, {"maps", pointer},
			{"system_map", system}},
		"cpumap": {{"available", u32}, {"allocated", u32}, {"managed", u32}, {"managed_allocated", u32}, {"online", boolean},
			{"managed_map", managed}, {"alloc_map", alloc}},
		"irq_data":       {{"mask", u32}, {"irq", u32}, {"chip", pointer}, {"parent_data", pointer}, {"chip_data", pointer}},
		"irq_desc":       {{"kstat", pointer}, {"irq_data", embedded}, {"depth", u32}},
		"irq_chip":       {{"name", pointer}, {"startup", pointer}},
		"apic_chip_data": {{"vector", u32}, {"prev_vector", u32}, {"cpu", u32}, {"prev_cpu", u32}, {"irq", u32}, {"move_in_progress", bit}, {"is_managed", bit}, {"can_reserve", bit}, {"has_reserved", bit}},
	}
}

// fakeTypes writes BTF of the shapes, members in random order with gaps, and reads it back. without leaves out one member.
func fakeTypes(t testing.TB, shapes map[string]shape, random *rand.Rand, without string) *btf.Spec {
	t.Helper()
	long := &btf.Int{Name: "unsigned long", Size: 8}
	integer := &btf.Int{Name: "unsigned int", Size: 4}
	index := &btf.Int{Name: "__ARRAY_SIZE_TYPE__", Size: 4}
	made := map[string]*btf.Struct{}
	var types []btf.Type
	for _, name := range []string{"irq_matrix", "cpumap", "irq_data", "irq_desc", "irq_chip", "apic_chip_data"} {
		s := &btf.Struct{Name: name}
		order := append(shape(nil), shapes[name]...)
		if random != nil {
			random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		var at uint32
		var last *btf.Member
		for _, f := range order {
			if f.name == without {
				continue
			}
			if random != nil {
				at += 8 * random.Uint32N(4)
			}
			m := btf.Member{Name: f.name, Offset: btf.Bits(8 * at)}
			size := uint32(8)
			switch f.kind {
			case u32:
				m.Type, size = integer, 4
			case boolean:
				m.Type, size = &btf.Int{Name: "_Bool", Size: 1, Encoding: btf.Bool}, 1
			case bit:
				m.Type, m.BitfieldSize, size = integer, 1, 1
				m.Offset += btf.Bits(at % 8)
			case pointer, bitsPointer:
				m.Type = &btf.Pointer{Target: long}
			case bitsHere:
				m.Type, size = &btf.Array{Index: index, Type: long, Nelems: 4}, 32
			case bitsFlexible:
				m.Type = &btf.Array{Index: index, Type: long}
				last = &m
				continue
			case embedded:
				m.Type, size = made["irq_data"], made["irq_data"].Size
			}
			s.Members = append(s.Members, m)
			at = (at + size + 7) / 8 * 8
		}
		if last != nil {
			last.Offset = btf.Bits(8 * at)
			s.Members = append(s.Members, *last)
		}
		s.Size = at
		made[name] = s
		types = append(types, s)
	}
	if without != "vector_irq_t" {
		types = append(types, &btf.Typedef{Name: "vector_irq_t",
			Type: &btf.Array{Index: index, Type: &btf.Pointer{Target: made["irq_desc"]}, Nelems: 256}})
	}
	b, err := btf.NewBuilder(types, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, &btf.MarshalOptions{Order: binary.LittleEndian})
	if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// Where the fake kernel has things.
const (
	fakeStart     = 0xffff_8880_0000_0000
	fakeSize      = 1 << 17
	fakeVectorIRQ = 0x1efa0 // as on 6.x: small, the per-CPU variables are linked at zero
	fakePerCPU    = 0x20000 // size of a CPU's area
)

// A fakeKernel is a piece of memory that is laid out as a kernel's.
type fakeKernel struct {
	t       testing.TB
	layout  *layout
	symbols symbols
	bytes   []byte
	next    uint64
	cpus    []uint64          // their offsets
	matrix  uint64            // struct irq_matrix
	chips   map[string]uint64 // by name
	apics   map[int]uint64    // struct apic_chip_data by irq
	descs   map[int]uint64    // struct irq_desc by irq
	maps    uint64            // per-CPU address of struct cpumap
	alloc   []uint64          // alloc_map of each CPU
	managed []uint64
	reads   int
	onRead  func(n int) // before the nth read
}

var errUnmapped = errors.New("unmapped")

// Read implements memory.
func (f *fakeKernel) Read(addr uint64, buf []byte) error {
	f.reads++
	if f.onRead != nil {
		f.onRead(f.reads)
	}
	if addr < fakeStart || addr-fakeStart+uint64(len(buf)) > uint64(len(f.bytes)) {
		return errUnmapped
	}
	copy(buf, f.bytes[addr-fakeStart:])
	return nil
}

func (f *fakeKernel) allocate(n int) uint64 {
	at := f.next
	f.next += uint64(n+7) / 8 * 8
	return at
}

func (f *fakeKernel) put(at uint64, n int, v uint64) {
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], v)
	copy(f.bytes[at-fakeStart:][:n], word[:])
}

func (f *fakeKernel) get(at uint64, n int) uint64 {
	var word [8]byte
	copy(word[:], f.bytes[at-fakeStart:][:n])
	return binary.LittleEndian.Uint64(word[:])
}

// set writes a member of the structure at that address.
func (f *fakeKernel) set(structure uint64, m member, v uint64) {
	at := structure + uint64(m.offset)
	if m.bits > 0 {
		old := f.get(at, m.size)
		v = old&^(1<<m.shift) | v<<m.shift
	}
	f.put(at, m.size, v)
}

func (f *fakeKernel) add(structure uint64, m member, n int) {
	f.set(structure, m, uint64(int64(f.get(structure+uint64(m.offset), m.size))+int64(n)))
}

// newFakeKernel makes one with so many CPUs, all online, and the system vectors of 6.12.
func newFakeKernel(t testing.TB, spec *btf.Spec, cpus int) *fakeKernel {
	t.Helper()
	l, err := newLayout(spec)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeKernel{t: t, layout: l, next: fakeStart + fakePerCPU*uint64(cpus) + 64,
		chips: map[string]uint64{}, apics: map[int]uint64{}, descs: map[int]uint64{}}
	f.bytes = make([]byte, int(fakePerCPU)*cpus+fakeSize)
	f.maps = 0x8000
	f.matrix = f.allocate(l.matrix.size + 32)
	s := &f.symbols
	s.vectorIRQ, s.vectorMatrix, s.perCPUOffset = fakeVectorIRQ, f.allocate(8), f.allocate(8*cpus)
	s.lapic = f.chip("APIC")
	f.put(s.vectorMatrix, 8, f.matrix)
	m := &l.matrix
	const start, end, system = 0x20, 0xeb, 1 // 0x80 is the kernel's
	f.set(f.matrix, m.bits, 256)
	f.set(f.matrix, m.start, start)
	f.set(f.matrix, m.end, end)
	f.set(f.matrix, m.allocSize, end-start)
	f.set(f.matrix, m.systemInRange, system)
	f.set(f.matrix, m.online, uint64(cpus))
	f.set(f.matrix, m.maps, f.maps)
	f.set(f.matrix, m.available, uint64(cpus*(end-start-system)))
	bitmap := f.bitmap(f.matrix, m.system)
	for v := range 256 {
		if v < start || v >= end || v == 0x80 {
			f.mark(bitmap, v, true)
		}
	}
	for i := range cpus {
		offset := fakeStart + fakePerCPU*uint64(i)
		f.cpus = append(f.cpus, offset)
		f.put(s.perCPUOffset+8*uint64(i), 8, offset)
		c := &l.cpumap
		f.set(f.maps+offset, c.online, 1)
		f.set(f.maps+offset, c.available, end-start-system)
		f.alloc = append(f.alloc, f.bitmap(f.maps+offset, c.alloc))
		f.managed = append(f.managed, f.bitmap(f.maps+offset, c.managedMap))
	}
	return f
}

// bitmap returns where a bitmap is, and makes one for a pointer.
func (f *fakeKernel) bitmap(structure uint64, m member) uint64 {
	if m.pointer {
		at := f.allocate(32)
		f.set(structure, m, at)
		return at
	}
	return structure + uint64(m.offset)
}

func (f *fakeKernel) mark(bitmap uint64, i int, on bool) {
	at := bitmap + uint64(i/64*8)
	w := f.get(at, 8) &^ (1 << (i % 64))
	if on {
		w |= 1 << (i % 64)
	}
	f.put(at, 8, w)
}

func (f *fakeKernel) chip(name string) uint64 {
	if at, ok := f.chips[name]; ok {
		return at
	}
	text := f.allocate(64)
	copy(f.bytes[text-fakeStart:], name)
	at := f.allocate(f.layout.chip.size)
	f.set(at, f.layout.chip.name, text)
	f.chips[name] = at
	return at
}

// slot writes an entry of vector_irq.
func (f *fakeKernel) slot(cpu, vector int, v uint64) {
	f.put(f.symbols.vectorIRQ+f.cpus[cpu]+8*uint64(vector), 8, v)
}

// irq makes an interrupt with these chips, outermost first, that has no vector yet. A chain that does not end at
// APIC has none ever.
func (f *fakeKernel) irq(number int, chips ...string) {
	desc := f.allocate(f.layout.desc.size)
	f.descs[number] = desc
	at := desc + uint64(f.layout.desc.data.offset)
	d := &f.layout.data
	for i, chip := range chips {
		f.set(at, d.irq, uint64(number))
		f.set(at, d.chip, f.chip(chip))
		if i+1 < len(chips) {
			parent := f.allocate(d.size)
			f.set(at, d.parent, parent)
			f.set(at, d.chipPrivate, 0xffff888012345678) // of the outer chip: not struct apic_chip_data
			at = parent
		}
	}
	if chips[len(chips)-1] == "APIC" {
		apic := f.allocate(f.layout.apic.size)
		f.set(at, d.chipPrivate, apic)
		f.set(apic, f.layout.apic.irq, uint64(number))
		f.apics[number] = apic
	}
}

// give assigns a vector as vector.c does: allocator, table, chip data.
func (f *fakeKernel) give(number, cpu, vector int) {
	f.allocated(cpu, vector, true)
	f.slot(cpu, vector, f.descs[number])
	f.set(f.apics[number], f.layout.apic.cpu, uint64(cpu))
	f.set(f.apics[number], f.layout.apic.vector, uint64(vector))
}

// moveSteps gives another vector; the old one waits for clean-up. The steps are those of vector.c, in its order.
func (f *fakeKernel) moveSteps(number, cpu, vector int) []func() {
	a := &f.layout.apic
	apic := f.apics[number]
	return []func(){
		func() { f.allocated(cpu, vector, true) },
		func() { f.set(apic, a.previousVector, f.get(apic+uint64(a.vector.offset), 4)) },
		func() { f.set(apic, a.previousCPU, f.get(apic+uint64(a.cpu.offset), 4)) },
		func() { f.set(apic, a.moving, 1) },
		func() { f.set(apic, a.vector, uint64(vector)) },
		func() { f.set(apic, a.cpu, uint64(cpu)) },
		func() { f.slot(cpu, vector, f.descs[number]) },
	}
}

// move does it at once.
func (f *fakeKernel) move(number, cpu, vector int) {
	for _, step := range f.moveSteps(number, cpu, vector) {
		step()
	}
}

func (f *fakeKernel) allocated(cpu, vector int, on bool) {
	n := 1
	if !on {
		n = -1
	}
	c, m := &f.layout.cpumap, &f.layout.matrix
	f.mark(f.alloc[cpu], vector, on)
	f.add(f.maps+f.cpus[cpu], c.allocated, n)
	f.add(f.maps+f.cpus[cpu], c.available, -n)
	f.add(f.matrix, m.allocated, n)
	f.add(f.matrix, m.available, -n)
}

// setAside reserves a vector for a managed interrupt.
func (f *fakeKernel) setAside(cpu, vector int) {
	f.mark(f.managed[cpu], vector, true)
	f.add(f.maps+f.cpus[cpu], f.layout.cpumap.managed, 1)
	f.add(f.maps+f.cpus[cpu], f.layout.cpumap.available, -1)
	f.add(f.matrix, f.layout.matrix.available, -1)
}

// start gives a managed interrupt a vector that was set aside.
func (f *fakeKernel) start(number, cpu, vector int) {
	f.give(number, cpu, vector)
	f.add(f.maps+f.cpus[cpu], f.layout.cpumap.available, 1)
	f.add(f.matrix, f.layout.matrix.available, 1)
	f.add(f.maps+f.cpus[cpu], f.layout.cpumap.managedAllocated, 1)
	f.set(f.apics[number], f.layout.apic.managed, 1)
}

// offline takes a CPU off: its counters stay, the totals lose it.
func (f *fakeKernel) offline(cpu int) {
	c := f.maps + f.cpus[cpu]
	f.set(c, f.layout.cpumap.online, 0)
	f.add(f.matrix, f.layout.matrix.online, -1)
	f.add(f.matrix, f.layout.matrix.available, -int(f.get(c+uint64(f.layout.cpumap.available.offset), 4)))
}

func (f *fakeKernel) kernel() *kernel {
	f.t.Helper()
	var cpus []int
	for i := range f.cpus {
		cpus = append(cpus, i)
	}
	k, err := newKernel(f, f.layout, &f.symbols, cpus)
	if err != nil {
		f.t.Fatal(err)
	}
	return k
}
