package vectormap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// symbols are the addresses of the kernel's variables that the map starts from.
type symbols struct {
	vectorIRQ    uint64 // vector_irq: the per-CPU tables, arch/x86/kernel/irq.c
	vectorMatrix uint64 // vector_matrix: pointer to the allocator, arch/x86/kernel/apic/vector.c
	perCPUOffset uint64 // __per_cpu_offset: where each CPU's variables are
	lapic        uint64 // lapic_controller: the chip at the root of every interrupt that has a vector
	text         uint64 // _stext: to compare two sources of symbols

	// offsets are those of the possible CPUs, where they were found without __per_cpu_offset. Then vectorMatrix and lapic
	// are not known.
	offsets []uint64
}

// byName returns where each symbol is put.
func (s *symbols) byName() map[string]*uint64 {
	return map[string]*uint64{"vector_irq": &s.vectorIRQ, "vector_matrix": &s.vectorMatrix,
		"__per_cpu_offset": &s.perCPUOffset, "lapic_controller": &s.lapic, "_stext": &s.text}
}

// Why symbols are not to be had.
var (
	errSymbolsHidden  = errors.New("/proc/kallsyms shows no addresses")
	errSymbolsMissing = errors.New("the kernel's symbol table has no variables (CONFIG_KALLSYMS_ALL)")
)

// readSymbols reads the text of /proc/kallsyms: "address type name" a line, "[module]" behind those of modules. The type
// letter says nothing reliable (7.2 prints "t lapic_controller"), so only names count. A name that occurs twice in
// the kernel itself is refused.
func readSymbols(r io.Reader) (*symbols, error) {
	var s symbols
	wanted, seen := s.byName(), map[string]bool{}
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		line := scan.Bytes()
		i := bytes.IndexByte(line, ' ')
		if i < 0 || i+3 > len(line) {
			continue
		}
		name := line[i+3:]
		at := wanted[string(name)] // a module's symbol has "\t[module]" behind its name and is not found
		if at == nil {
			continue
		}
		if seen[string(name)] {
			return nil, fmt.Errorf("the symbol %s occurs twice", name)
		}
		seen[string(name)] = true
		addr, err := strconv.ParseUint(string(line[:i]), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("the symbol %s has no address: %w", name, err)
		}
		*at = addr
	}
	if err := scan.Err(); err != nil {
		return nil, err
	}
	return &s, s.check(func(name string) bool { return seen[name] })
}

// check tells hidden addresses (all zero) from missing ones. vector_irq is a small number on kernels before 6.15, where
// per-CPU variables are linked at zero.
func (s *symbols) check(seen func(string) bool) error {
	if seen("_stext") && s.text == 0 {
		return errSymbolsHidden
	}
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(s.byName())) {
		if !seen(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: no %s", errSymbolsMissing, strings.Join(missing, ", "))
	}
	for name, at := range s.byName() {
		if name != "vector_irq" && !isKernelPointer(*at) {
			return fmt.Errorf("the symbol %s is at %#x, which is no address of the kernel", name, *at)
		}
	}
	return nil
}
