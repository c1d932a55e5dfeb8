package vectormap

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// A kernel is everything that stays the same while a map is read.
type kernel struct {
	memory  memory
	layout  *layout
	symbols *symbols
	cpus    []int        // possible CPUs
	offsets []uint64     // of cpus: where their per-CPU variables are
	online  map[int]bool // of cpus; used only where the allocator cannot be read
	chips   map[uint64]string
}

// newKernel reads what stays the same. The CPUs are the possible ones: __per_cpu_offset of others is no address.
func newKernel(m memory, l *layout, s *symbols, possible []int) (*kernel, error) {
	k := &kernel{memory: m, layout: l, symbols: s, cpus: possible, offsets: s.offsets, chips: map[uint64]string{}}
	if k.offsets != nil {
		return k, nil
	}
	for _, cpu := range possible {
		offset, err := wordsAt(m, s.perCPUOffset+8*uint64(cpu), 1)
		if err != nil {
			return nil, err
		}
		// Per-CPU areas lie in the direct map or in vmalloc space; with variables linked into the image (6.15) the
		// offset is a difference that wraps, so only zero is impossible.
		if offset[0] == 0 {
			return nil, fmt.Errorf("CPU %d has no per-CPU area", cpu)
		}
		k.offsets = append(k.offsets, offset[0])
	}
	return k, nil
}

// readOnline reads which CPUs are online, for a map without the allocator.
func (k *kernel) readOnline(tree fs.FS) error {
	if k.counted() {
		return nil
	}
	online, err := cpusOf(tree, "online")
	k.online = map[int]bool{}
	for _, cpu := range online {
		k.online[cpu] = true
	}
	return err
}

// counted reports whether the allocator can be read. Without its address the tables can be found all the same.
func (k *kernel) counted() bool { return k.symbols.vectorMatrix != 0 }

// A sweep is one reading of the allocator and of all tables, not yet interpreted beyond what finds its parts.
type sweep struct {
	matrix []byte   // struct irq_matrix
	system []uint64 // its system_map
	cpus   []cpuSweep
}

type cpuSweep struct {
	head    []byte   // struct cpumap
	alloc   []uint64 // alloc_map
	managed []uint64 // managed_map
	row     []byte   // vector_irq
}

// sweep reads everything once.
func (k *kernel) sweep() (*sweep, error) {
	s := &sweep{}
	maps := uint64(0)
	if k.counted() {
		var err error
		if maps, err = k.sweepMatrix(s); err != nil {
			return nil, err
		}
	}
	for i, offset := range k.offsets {
		one, err := k.sweepCPU(maps+offset, k.symbols.vectorIRQ+offset)
		if err != nil {
			return nil, fmt.Errorf("CPU %d: %w", k.cpus[i], err)
		}
		s.cpus = append(s.cpus, one)
	}
	return s, nil
}

// sweepMatrix reads the allocator and returns where its part for each CPU is, less the CPU's offset.
func (k *kernel) sweepMatrix(s *sweep) (maps uint64, err error) {
	m := &k.layout.matrix
	where, err := wordsAt(k.memory, k.symbols.vectorMatrix, 1)
	if err != nil {
		return 0, err
	}
	if !isKernelPointer(where[0]) {
		return 0, fmt.Errorf("vector_matrix is %#x, which is no address", where[0])
	}
	if s.matrix, err = bytesAt(k.memory, where[0], m.size); err != nil {
		return 0, err
	}
	if err := k.plausible(s.matrix); err != nil {
		return 0, err
	}
	s.system, err = k.bitmap(where[0], s.matrix, m.system)
	return m.maps.of(s.matrix), err
}

func (k *kernel) sweepCPU(cpumap, row uint64) (cpuSweep, error) {
	var s cpuSweep
	var errs [4]error
	c := &k.layout.cpumap
	s.row, errs[0] = bytesAt(k.memory, row, 8*k.layout.vectors)
	if !k.counted() || errs[0] != nil {
		return s, errs[0]
	}
	if s.head, errs[1] = bytesAt(k.memory, cpumap, c.size); errs[1] == nil {
		s.alloc, errs[2] = k.bitmap(cpumap, s.head, c.alloc)
		s.managed, errs[3] = k.bitmap(cpumap, s.head, c.managedMap)
	}
	return s, errors.Join(errs[:]...)
}

// bitmap reads one bit a vector: an array inside the structure, a flexible array at its end, or behind a pointer.
func (k *kernel) bitmap(structure uint64, head []byte, m member) ([]uint64, error) {
	n := (k.layout.vectors + 63) / 64
	switch {
	case m.pointer:
		at := m.of(head)
		if !isKernelPointer(at) {
			return nil, fmt.Errorf("a bitmap is at %#x, which is no address", at)
		}
		return wordsAt(k.memory, at, n)
	case m.array && m.elements == 0:
		return wordsAt(k.memory, structure+uint64(m.offset), n)
	case m.array && m.elements == n:
		return words(head[m.offset : m.offset+m.size]), nil
	}
	return nil, fmt.Errorf("a bitmap of %d vectors is neither a pointer nor an array of %d words", k.layout.vectors, n)
}

// plausible refuses an allocator that cannot be x86's, as when memory that may not be read gives zeros.
func (k *kernel) plausible(matrix []byte) error {
	m := &k.layout.matrix
	bits, start, end := m.bits.of(matrix), m.start.of(matrix), m.end.of(matrix)
	if bits != uint64(k.layout.vectors) || start < 0x20 || start >= end || end > bits || m.allocSize.of(matrix) != end-start {
		return fmt.Errorf("the allocator of vectors is not plausible: %d bits, vectors %#x to %#x of %d",
			bits, start, end, m.allocSize.of(matrix))
	}
	return nil
}

// equal reports whether both sweeps saw the same bytes.
func (s *sweep) equal(o *sweep) bool {
	same := bytes.Equal(s.matrix, o.matrix) && slices.Equal(s.system, o.system) && len(s.cpus) == len(o.cpus)
	for i := 0; same && i < len(s.cpus); i++ {
		a, b := &s.cpus[i], &o.cpus[i]
		same = bytes.Equal(a.head, b.head) && bytes.Equal(a.row, b.row) && slices.Equal(a.alloc, b.alloc) && slices.Equal(a.managed, b.managed)
	}
	return same
}
