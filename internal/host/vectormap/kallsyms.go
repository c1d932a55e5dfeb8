package vectormap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The kernel keeps its symbols compressed (kernel/kallsyms.c, scripts/kallsyms.c): each name is a length and that many
// tokens, a token is a byte that stands for a string of kallsyms_token_table; the first character is the type letter.
// Where the tables are stands in VMCOREINFO since 6.0, which /proc/kcore has.
type symbolTable struct {
	memory  memory
	count   int
	names   uint64
	tokens  [256][]byte
	offsets []int32
	at      uint64 // of offsets
	base    uint64 // kallsyms_relative_base; 0 if the kernel has none
	text    uint64 // _stext by VMCOREINFO
}

// maxSymbols bounds a table: a kernel with everything built in has some 300,000.
const maxSymbols = 4 << 20

// memorySymbols finds the symbols in the kernel's memory, whatever kptr_restrict says.
func memorySymbols(k *kcore) (*symbols, error) {
	t, err := newSymbolTable(k)
	if err != nil {
		return nil, fmt.Errorf("symbols in memory: %w", err)
	}
	s, err := t.find()
	if err != nil {
		return nil, fmt.Errorf("symbols in memory: %w", err)
	}
	return s, nil
}

func newSymbolTable(k *kcore) (*symbolTable, error) {
	addr := map[string]uint64{}
	for _, name := range []string{"_stext", "kallsyms_names", "kallsyms_num_syms", "kallsyms_token_table",
		"kallsyms_token_index", "kallsyms_offsets"} {
		at, ok := k.symbol(name)
		if !ok {
			return nil, fmt.Errorf("VMCOREINFO has no %s", name)
		}
		addr[name] = at
	}
	t := &symbolTable{memory: k, names: addr["kallsyms_names"], at: addr["kallsyms_offsets"], text: addr["_stext"]}
	if at, ok := k.symbol("kallsyms_relative_base"); ok {
		base, err := wordsAt(k, at, 1)
		if err != nil {
			return nil, err
		}
		t.base = base[0]
	}
	count, err := bytesAt(k, addr["kallsyms_num_syms"], 4)
	if err != nil {
		return nil, err
	}
	if t.count = int(binary.LittleEndian.Uint32(count)); t.count == 0 || t.count > maxSymbols {
		return nil, fmt.Errorf("%d symbols", t.count)
	}
	if err := t.readTokens(addr["kallsyms_token_table"], addr["kallsyms_token_index"]); err != nil {
		return nil, err
	}
	return t, t.readOffsets()
}

func (t *symbolTable) readTokens(table, index uint64) error {
	starts, err := bytesAt(t.memory, index, 2*256)
	if err != nil {
		return err
	}
	last := int(binary.LittleEndian.Uint16(starts[2*255:]))
	text, err := bytesAt(t.memory, table, last+64)
	if err != nil {
		return err
	}
	for i := range t.tokens {
		start := int(binary.LittleEndian.Uint16(starts[2*i:]))
		if start > last {
			return errors.New("the table of tokens is not in order")
		}
		token, _, ended := bytes.Cut(text[start:], []byte{0})
		if !ended {
			return errors.New("a token does not end")
		}
		t.tokens[i] = token
	}
	return nil
}

func (t *symbolTable) readOffsets() error {
	buf, err := bytesAt(t.memory, t.at, 4*t.count)
	if err != nil {
		return err
	}
	t.offsets = make([]int32, t.count)
	for i := range t.offsets {
		t.offsets[i] = int32(binary.LittleEndian.Uint32(buf[4*i:]))
	}
	return nil
}

// find walks all names and then settles how their addresses are encoded.
func (t *symbolTable) find() (*symbols, error) {
	var s symbols
	wanted, index := s.byName(), map[string]int{}
	r := &nameReader{memory: t.memory, at: t.names}
	var name []byte
	for i := range t.count {
		tokens, err := r.next()
		if err != nil {
			return nil, fmt.Errorf("symbol %d of %d: %w", i, t.count, err)
		}
		name = name[:0]
		for _, token := range tokens {
			name = append(name, t.tokens[token]...)
		}
		if len(name) < 2 || wanted[string(name[1:])] == nil {
			continue
		}
		if _, twice := index[string(name[1:])]; twice {
			return nil, fmt.Errorf("the symbol %s occurs twice", name[1:])
		}
		index[string(name[1:])] = i
	}
	address, err := t.encoding(index)
	if err != nil {
		return nil, err
	}
	for name, i := range index {
		*wanted[name] = address(i)
	}
	return &s, s.check(func(name string) bool { _, ok := index[name]; return ok })
}

// encoding picks the way to read an offset that gives _stext its known address: with CONFIG_KALLSYMS_ABSOLUTE_PERCPU
// (6.1, 6.12) values from zero are absolute and negative ones count from the base; without it all count from the base;
// without a base (7.x) an offset counts from its own entry.
func (t *symbolTable) encoding(index map[string]int) (func(int) uint64, error) {
	stext, ok := index["_stext"]
	if !ok {
		return nil, errors.New("no _stext")
	}
	absolutePerCPU := func(i int) uint64 {
		if o := t.offsets[i]; o < 0 {
			return t.base - 1 - uint64(int64(o))
		}
		return uint64(t.offsets[i])
	}
	relative := func(i int) uint64 { return t.base + uint64(uint32(t.offsets[i])) }
	own := func(i int) uint64 { return t.at + 4*uint64(i) + uint64(int64(t.offsets[i])) }
	for _, address := range []func(int) uint64{absolutePerCPU, relative, own} {
		if address(stext) == t.text {
			return address, nil
		}
	}
	return nil, errors.New("no known encoding of addresses gives _stext its own")
}

// A nameReader reads the compressed names in order. A name may be cut by the end of what was read so far.
type nameReader struct {
	memory memory
	at     uint64 // of what follows buf
	buf    []byte
}

// next returns the tokens of one name. A length of more than 127 takes two bytes (6.1).
func (r *nameReader) next() ([]byte, error) {
	const longest = 2 + 1<<14
	if len(r.buf) < longest {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	n, head := int(r.buf[0]), 1
	if n&0x80 != 0 {
		n, head = n&0x7f|int(r.buf[1])<<7, 2
	}
	if n == 0 || head+n > len(r.buf) {
		return nil, fmt.Errorf("a name of %d tokens", n)
	}
	tokens := r.buf[head : head+n]
	r.buf = r.buf[head+n:]
	return tokens, nil
}

// fill reads on. What lies behind the names is the kernel's read-only data too.
func (r *nameReader) fill() error {
	more, err := bytesAt(r.memory, r.at, 64<<10)
	if err != nil {
		return err
	}
	r.at += uint64(len(more))
	r.buf = append(bytes.Clone(r.buf), more...)
	return nil
}
