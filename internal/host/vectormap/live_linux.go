package vectormap

import "context"

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
