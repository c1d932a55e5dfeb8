package vectormap

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// coreFile writes the fake kernel's memory as /proc/kcore shows it: one segment, and a note.
func coreFile(f *fakeKernel, info string) *bytes.Reader {
	note := make([]byte, 12, 12+12+len(info)+8)
	binary.LittleEndian.PutUint32(note, 11)
	binary.LittleEndian.PutUint32(note[4:], uint32(len(info)))
	note = append(note, "VMCOREINFO\x00\x00"...)
	note = append(append(note, info...), 0, 0, 0, 0)
	const head, program = 64, 56
	notes, data := uint64(head+2*program), uint64(4096)
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1},
		Type:  uint16(elf.ET_CORE), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: head, Ehsize: head, Phentsize: program, Phnum: 2})
	binary.Write(&b, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_NOTE), Off: notes, Filesz: uint64(len(note))})
	binary.Write(&b, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_LOAD), Off: data, Vaddr: fakeStart,
		Filesz: uint64(len(f.bytes)), Memsz: uint64(len(f.bytes))})
	b.Write(note)
	b.Write(make([]byte, int(data)-b.Len()))
	b.Write(f.bytes)
	return bytes.NewReader(b.Bytes())
}

// The map from a core file is that from memory.
func TestKcore(t *testing.T) {
	f := machine(t, newFakeKernel(t, fakeTypes(t, shapes(true), nil, ""), 2))
	core, err := newKcore(coreFile(f, "OSRELEASE=6.1\nSYMBOL(_stext)=ffffffff81000000\n"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := newKernel(core, f.layout, &f.symbols, []int{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	m, err := k.snapshot(context.Background(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantMachine(), m); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if addr, ok := core.symbol("_stext"); addr != 0xffffffff81000000 || !ok {
		t.Errorf("_stext by VMCOREINFO: %#x, %v", addr, ok)
	}
	if err := core.Read(fakeStart-8, make([]byte, 8)); !errors.Is(err, errOutside) {
		t.Errorf("before the segment: %v", err)
	}
	if err := core.Read(fakeStart+uint64(len(f.bytes))-4, make([]byte, 8)); !errors.Is(err, errOutside) {
		t.Errorf("across its end: %v", err)
	}
}

// What is no core file of an x86-64 kernel is refused.
func TestKcoreRefuses(t *testing.T) {
	f := machine(t, newFakeKernel(t, fakeTypes(t, shapes(true), nil, ""), 2))
	good := make([]byte, 8192)
	coreFile(f, "").ReadAt(good, 0)
	arm := bytes.Clone(good)
	binary.LittleEndian.PutUint16(arm[18:], uint16(elf.EM_AARCH64))
	empty := bytes.Clone(good)
	binary.LittleEndian.PutUint16(empty[56:], 1) // the note alone
	for name, raw := range map[string][]byte{"nothing": nil, "zeros": make([]byte, 4096), "a cut header": good[:20], "arm64": arm, "no memory": empty} {
		if _, err := newKcore(bytes.NewReader(raw)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

const kallsyms = `0000000000000000 A fixed_percpu_data
000000000001efa0 A vector_irq
ffffffff81000000 T _stext
ffffffff82c0e3a0 D __per_cpu_offset
ffffffff82c15480 t lapic_controller
ffffffff83a4c1a8 b vector_matrix
ffffffffc0001000 t vector_irq	[evil]
`

func TestSymbols(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       error
		any        bool // some error
	}{
		{name: "as root", text: kallsyms},
		{name: "hidden", text: hide(kallsyms), want: errSymbolsHidden},
		{name: "functions only", text: "ffffffff81000000 T _stext\n", want: errSymbolsMissing},
		{name: "empty", text: "", want: errSymbolsMissing},
		{name: "twice", text: kallsyms + "ffffffff83a4c1a8 b vector_matrix\n", any: true},
		{name: "no address", text: strings.Replace(kallsyms, "ffffffff83a4c1a8", "ffffffff83a4c1a8zz", 1), any: true},
		{name: "not the kernel's", text: strings.Replace(kallsyms, "ffffffff83a4c1a8", "00007fff00000000", 1), any: true},
		{name: "an endless line", text: strings.Repeat("f", 1<<20), any: true},
	} {
		s, err := readSymbols(strings.NewReader(c.text))
		switch {
		case c.any && err == nil, !c.any && !errors.Is(err, c.want):
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		case err == nil:
			want := &symbols{vectorIRQ: 0x1efa0, vectorMatrix: 0xffffffff83a4c1a8, perCPUOffset: 0xffffffff82c0e3a0,
				lapic: 0xffffffff82c15480, text: 0xffffffff81000000}
			if !reflect.DeepEqual(s, want) {
				t.Errorf("%s: %+v", c.name, s)
			}
		}
	}
}

// hide does what the kernel does for whoever lacks CAP_SYSLOG.
func hide(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("0000000000000000" + line[16:])
	}
	return b.String()
}

// Symbols are found in memory in each of the three ways in which kernels encode their addresses.
func TestSymbolsInMemory(t *testing.T) {
	for _, encoding := range []string{"absolute per-CPU", "relative", "own"} {
		base, kallsyms := uint64(0xffffffff81000000), kallsyms
		if encoding == "own" { // near the table, as in a kernel's image
			base, kallsyms = fakeStart+0x1000000, strings.ReplaceAll(kallsyms, "ffffffff8", "ffff88800")
		}
		f := newFakeKernel(t, fakeTypes(t, shapes(true), nil, ""), 1)
		info := f.compress(kallsyms, encoding, base)
		core, err := newKcore(coreFile(f, info))
		if err != nil {
			t.Fatal(err)
		}
		got, err := memorySymbols(core)
		if err != nil {
			t.Errorf("%s: %v", encoding, err)
			continue
		}
		want, err := readSymbols(strings.NewReader(kallsyms))
		if err != nil {
			t.Fatal(err)
		}
		if encoding != "absolute per-CPU" {
			want.vectorIRQ = got.vectorIRQ // the others cannot hold small numbers, and their kernels have none
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", encoding, got, want)
		}
		// A kernel that is not where VMCOREINFO says it is has an encoding that is not known here.
		core.info["SYMBOL(_stext)"] = fmt.Sprintf("%x", base+64)
		if _, err := memorySymbols(core); err == nil {
			t.Errorf("%s: accepted with another _stext", encoding)
		}
		delete(core.info, "SYMBOL(kallsyms_names)")
		if _, err := memorySymbols(core); err == nil {
			t.Errorf("%s: accepted without kallsyms_names", encoding)
		}
	}
}

// compress writes the symbols of kallsyms text as scripts/kallsyms does, with tokens of one and of two characters, and
// returns VMCOREINFO.
func (f *fakeKernel) compress(text, encoding string, base uint64) string {
	var names, table []byte
	var index [256]uint16
	for i := range index {
		index[i] = uint16(len(table))
		token := string(rune(i))
		if i == 0 || i >= 128 {
			token = "?"
		}
		if i == 200 {
			token = "ve" // stands for two
		}
		table = append(append(table, token...), 0)
	}
	type symbol struct {
		name string
		addr uint64
	}
	symbols := []symbol{{"T" + strings.Repeat("long_", 60), base}}
	for line := range strings.Lines(text) {
		var addr uint64
		var kind, name string
		if n, _ := fmt.Sscanf(line, "%x %s %s", &addr, &kind, &name); n == 3 && !strings.Contains(line, "[") {
			symbols = append(symbols, symbol{kind + name, addr})
		}
	}
	for _, s := range symbols {
		tokens := bytes.ReplaceAll([]byte(s.name), []byte("ve"), []byte{200})
		if n := len(tokens); n < 128 {
			names = append(names, byte(n))
		} else {
			names = append(names, byte(n)|0x80, byte(n>>7))
		}
		names = append(names, tokens...)
	}
	put := func(b []byte) uint64 {
		at := f.allocate(len(b))
		copy(f.bytes[at-fakeStart:], b)
		return at
	}
	offsets := f.allocate(4 * len(symbols))
	for i, s := range symbols {
		o := uint32(s.addr - base)
		switch {
		case encoding == "absolute per-CPU" && s.addr < 1<<31:
			o = uint32(s.addr)
		case encoding == "absolute per-CPU":
			o = uint32(int32(base - 1 - s.addr))
		case encoding == "own":
			o = uint32(s.addr - offsets - 4*uint64(i))
		}
		f.put(offsets+4*uint64(i), 4, uint64(o))
	}
	var raw []byte
	for _, i := range index {
		raw = binary.LittleEndian.AppendUint16(raw, i)
	}
	info := fmt.Sprintf("SYMBOL(_stext)=%x\nSYMBOL(kallsyms_names)=%x\nSYMBOL(kallsyms_num_syms)=%x\nSYMBOL(kallsyms_token_table)=%x\n"+
		"SYMBOL(kallsyms_token_index)=%x\nSYMBOL(kallsyms_offsets)=%x\n", base, put(names),
		put(binary.LittleEndian.AppendUint32(nil, uint32(len(symbols)))), put(table), put(raw), offsets)
	if encoding != "own" {
		info += fmt.Sprintf("SYMBOL(kallsyms_relative_base)=%x\n", put(binary.LittleEndian.AppendUint64(nil, base)))
	}
	return info
}
