package vectormap

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf/btf"
)

// Where the running kernel shows its memory, its symbols and its types.
const (
	kcorePath    = "/proc/kcore"
	kallsymsPath = "/proc/kallsyms"
	btfPath      = "/sys/kernel/btf/vmlinux"
)

// byKcore takes the map from /proc/kcore.
func (r *Reader) byKcore(ctx context.Context) (*Map, error) {
	if !r.root.Live() {
		return nil, errSaved
	}
	file, err := os.Open(kcorePath)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	core, err := newKcore(file)
	if err != nil {
		return nil, err
	}
	err = r.findSymbols()
	if errors.Is(err, errSymbolsHidden) && r.options.HiddenSymbols {
		r.symbols, err = memorySymbols(core)
	}
	if err != nil {
		return nil, err
	}
	if text, ok := core.symbol("_stext"); ok && text != r.symbols.text {
		return nil, fmt.Errorf("/proc/kcore has _stext at %#x, /proc/kallsyms at %#x", text, r.symbols.text)
	}
	return r.fromMemory(ctx, core)
}

// byBPF takes the map by a BPF program.
func (r *Reader) byBPF(ctx context.Context) (*Map, error) {
	if !r.root.Live() {
		return nil, errSaved
	}
	if err := r.findSymbols(); err != nil {
		return nil, err
	}
	p, err := newPeek()
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return r.fromMemory(ctx, p)
}

// fromMemory is what both ways to memory share.
func (r *Reader) fromMemory(ctx context.Context, m memory) (*Map, error) {
	if err := r.findLayout(); err != nil {
		return nil, err
	}
	possible, err := cpusOf(r.root.FS(), "possible")
	if err != nil {
		return nil, err
	}
	k, err := newKernel(m, r.layout, r.symbols, possible)
	if err != nil {
		return nil, err
	}
	return k.snapshot(ctx, r.options.Passes)
}

// findSymbols reads the symbols, once.
func (r *Reader) findSymbols() error {
	if r.symbols != nil {
		return nil
	}
	file, err := os.Open(kallsymsPath)
	if err != nil {
		return err
	}
	defer file.Close()
	s, err := readSymbols(file)
	if err == nil {
		r.symbols = s
	}
	return err
}

// findLayout reads the layout, once.
func (r *Reader) findLayout() error {
	if r.layout != nil {
		return nil
	}
	spec, err := btf.LoadSpec(btfPath)
	if err != nil {
		return fmt.Errorf("the kernel's type information: %w", err)
	}
	r.layout, err = newLayout(spec)
	return err
}
