package daemon

import (
	"context"
	"errors"

	"github.com/ivtd/ivt/source"
)

// watch follows devices that come and go while ivtd runs, from the first policy that names any. Where the kernel's messages cannot be
// heard, a reload finds what is new.
func (ss *sources) watch(ctx context.Context) {
	ss.watching.Do(func() {
		ss.leaving.Go(func() {
			if err := source.Watch(ctx, func(c source.Change) { ss.changed(ctx, c) }); !errors.Is(err, context.Canceled) {
				ss.server.log.Warn("devices that are plugged in are not noticed; reload to look for them", "err", err)
			}
		})
	})
}

// changed opens what appeared, if the policy names it, and lets go of what left without its source noticing. A device that
// appears under the name of one that is still leaving is opened when that has left (see await).
func (ss *sources) changed(ctx context.Context, c source.Change) {
	ss.working.Lock()
	defer ss.working.Unlock()
	if c.Kind == source.Left {
		ss.mu.Lock()
		o := ss.present[c.Name]
		ss.mu.Unlock()
		if o == nil {
			return
		}
		ss.server.log.Warn("the device of a source has left", "source", c.Name)
		if err := ss.drop(ctx, c.Name, o, true); err != nil {
			ss.server.log.Error("let a source go", "source", c.Name, "err", err)
		}
		return
	}
	for name, settings := range ss.wanted(ctx, ss.server.live.Load()) {
		if (c.Kind == source.Unsure || name == c.Name) && ss.get(name) == nil {
			ss.add(ctx, name, settings)
		}
	}
}
