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
		return r.saved(MethodKcore)
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
		if r.symbols, err = memorySymbols(core); err == nil {
			r.missing = nil
		}
	}
	if err != nil {
		return nil, err
	}
	if text, ok := core.symbol("_stext"); ok && text != r.symbols.text {
		return nil, fmt.Errorf("/proc/kcore has _stext at %#x, /proc/kallsyms at %#x", text, r.symbols.text)
	}
	return r.fromMemory(ctx, core, r.symbols)
}

// byBPF takes the map by a BPF program.
func (r *Reader) byBPF(ctx context.Context) (*Map, error) {
	if !r.root.Live() {
		return r.saved(MethodBPF)
	}
	missing := r.findSymbols()
	if missing != nil && !r.mayAnchor(missing) {
		return nil, missing
	}
	p, err := newPeek()
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if missing == nil {
		return r.fromMemory(ctx, p, r.symbols)
	}
	if err := r.findAnchor(p); err != nil {
		return nil, fmt.Errorf("%w, and without: %w", missing, err)
	}
	m, err := r.fromMemory(ctx, p, r.anchored)
	if err == nil {
		m.Blind = append(m.Blind, notCounted(missing))
	}
	return m, err
}

// notCounted is what a map without the allocator does not show.
func notCounted(missing error) Blind {
	return Blind{Method: MethodBPF, What: "how many vectors are free, managed or promised", Why: missing.Error(),
		Cure: "a kernel with CONFIG_KALLSYMS_ALL"}
}

// mayAnchor reports whether the tables may be looked for without symbols: where the kernel has none, but where it hides
// them only if that is allowed.
func (r *Reader) mayAnchor(missing error) bool {
	return errors.Is(missing, errSymbolsMissing) || errors.Is(missing, errSymbolsHidden) && r.options.HiddenSymbols
}

// fromMemory is what all ways to memory share.
func (r *Reader) fromMemory(ctx context.Context, m memory, s *symbols) (*Map, error) {
	if err := r.findLayout(); err != nil {
		return nil, err
	}
	possible, err := cpusOf(r.root.FS(), "possible")
	if err != nil {
		return nil, err
	}
	k, err := newKernel(m, r.layout, s, possible)
	if err != nil {
		return nil, err
	}
	if err := k.readOnline(r.root.FS()); err != nil {
		return nil, err
	}
	return k.snapshot(ctx, r.options.Passes)
}

// findAnchor finds the tables without symbols, once.
func (r *Reader) findAnchor(p *peek) error {
	if r.anchored != nil {
		return nil
	}
	if err := r.findLayout(); err != nil {
		return err
	}
	if r.noAnchor != nil {
		return r.noAnchor
	}
	possible, err := cpusOf(r.root.FS(), "possible")
	if err == nil {
		r.anchored, err = findWithoutSymbols(p, r.anchor, possible)
	}
	return err
}

// findSymbols reads the symbols, once.
func (r *Reader) findSymbols() error {
	if r.symbols != nil || r.missing != nil {
		return r.missing
	}
	file, err := os.Open(kallsymsPath)
	if err != nil {
		return err
	}
	defer file.Close()
	s, err := readSymbols(file)
	if err != nil {
		r.missing = err
	} else {
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
	// Only a kernel without symbols needs what the second finds.
	r.anchor, r.noAnchor = newAnchorLayout(spec)
	r.layout, err = newLayout(spec)
	return err
}
