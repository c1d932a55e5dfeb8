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

// readKcore takes the map from /proc/kcore.
func readKcore(ctx context.Context, root Root, o Options) (*Map, error) {
	if !root.Live() {
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
	symbols, err := liveSymbols()
	if errors.Is(err, errSymbolsHidden) && o.HiddenSymbols {
		symbols, err = memorySymbols(core)
	}
	if err != nil {
		return nil, err
	}
	if text, ok := core.symbol("_stext"); ok && text != symbols.text {
		return nil, fmt.Errorf("/proc/kcore has _stext at %#x, /proc/kallsyms at %#x", text, symbols.text)
	}
	return readMemory(ctx, core, symbols, root, o)
}

// readBPF takes the map by a BPF program.
func readBPF(ctx context.Context, root Root, o Options) (*Map, error) {
	if !root.Live() {
		return nil, errSaved
	}
	symbols, err := liveSymbols()
	if err != nil {
		return nil, err
	}
	p, err := newPeek()
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return readMemory(ctx, p, symbols, root, o)
}

// readMemory is what both ways to memory share.
func readMemory(ctx context.Context, m memory, s *symbols, root Root, o Options) (*Map, error) {
	spec, err := btf.LoadSpec(btfPath)
	if err != nil {
		return nil, fmt.Errorf("the kernel's type information: %w", err)
	}
	l, err := newLayout(spec)
	if err != nil {
		return nil, err
	}
	possible, err := cpusOf(root.FS(), "possible")
	if err != nil {
		return nil, err
	}
	k, err := newKernel(m, l, s, possible)
	if err != nil {
		return nil, err
	}
	return k.snapshot(ctx, o.Passes)
}

func liveSymbols() (*symbols, error) {
	file, err := os.Open(kallsymsPath)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readSymbols(file)
}
