package vectormap

import (
	"context"
	"errors"
	"fmt"
)

// DefaultPasses is how many sweeps may differ from the next before a map is given up as unstable. Under continuous moves
// and driver unbinding every map came to rest within 8.
const DefaultPasses = 16

var errUnstable = errors.New("unstable: the kernel changed the table during every reading")

// snapshot takes a consistent map or fails. Whatever differs between two sweeps may have moved anything, so everything is
// resolved again, not only what changed: anything less reports interrupts live twice.
func (k *kernel) snapshot(ctx context.Context, passes int) (*Map, error) {
	before, err := k.sweep()
	if err != nil {
		return nil, err
	}
	var torn error
	for pass := 1; pass <= passes; pass++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		places := k.resolve(before)
		after, err := k.sweep()
		if err != nil {
			return nil, err
		}
		if before.equal(after) {
			m, err := k.assemble(after, places)
			if err == nil {
				m.Passes = pass + 1
				return m, nil
			}
			torn = err
		}
		before = after
	}
	if torn != nil {
		return nil, fmt.Errorf("%w (%d passes; last: %w)", errUnstable, passes, torn)
	}
	return nil, fmt.Errorf("%w (%d passes)", errUnstable, passes)
}
