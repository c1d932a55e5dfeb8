package daemon

import (
	"context"
	"errors"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// watch sends what is there, then what happens. A caller that does not read is told what it missed, and lets
// nobody else wait.
func (s *Server) watch(c *varlink.Call, k *caller) error {
	var in api.WatchIn
	if err := errors.Join(c.Streaming(), c.Decode(&in)); err != nil {
		return err
	}
	giveBack, err := s.take(k, watchersOf, s.live.Load().Limits.WatchersPerUser, "watchers_per_user", "watch")
	if err != nil {
		return err
	}
	defer giveBack()
	var since uint64
	if in.Since != nil {
		since = *in.Since
	}
	// From here on nothing is missed; what happens during the snapshot comes after it, perhaps twice.
	watcher := s.registry.Watch(since)
	defer watcher.Close()
	ready := api.WatchOut{Ready: true, Sequence: s.registry.Stats().Sequence}
	if in.Since == nil {
		if err := s.snapshot(c, k, in.Source); err != nil {
			return err
		}
	}
	if err := c.Continue(ready); err != nil {
		return err
	}
	return s.follow(c, k, watcher, in.Source)
}

// snapshot sends the vectors that are not free.
func (s *Server) snapshot(c *varlink.Call, k *caller, source string) error {
	var page []api.Vector
	for i := range s.registry.List(source, irq.Vector{}) {
		if i.State == irq.StateFree || !k.gate.Visible(i.Vector) {
			continue
		}
		if page = append(page, wireInfo(i)); len(page) == pageSize {
			if err := c.Continue(api.WatchOut{Snapshot: page}); err != nil {
				return err
			}
			page = nil
		}
	}
	if page == nil {
		return nil
	}
	return c.Continue(api.WatchOut{Snapshot: page})
}

// follow sends what happens. What comes soon after it has sent something waits for the next beat, and is sent together.
func (s *Server) follow(c *varlink.Call, k *caller, w *irq.Watcher, source string) error {
	t := telling{server: s, caller: k, source: source}
	for {
		e, missed, err := w.Next(c.Context())
		switch {
		case errors.Is(context.Cause(s.base), errClosing):
			return c.Error(api.ErrorName(irq.ErrCancelled), api.FromError(&irq.Error{Code: irq.ErrCancelled, Operation: "watch",
				Reason: irq.ReasonCancelled, Detail: errClosing.Error(), Remedies: []string{"watch again from the last sequence number"}}))
		case err != nil:
			return varlink.ErrHungUp
		}
		for more := true; more; {
			if err := t.add(e, missed); err != nil {
				return err
			}
			if more = !t.full(); more {
				e, missed, more = w.Poll()
			}
		}
		if t.empty() {
			continue
		}
		if err := c.ContinueWith(t.replies...); err != nil {
			return err
		}
		if !t.clear() {
			continue
		}
		select {
		case <-s.beat.next():
		case <-c.Context().Done():
		}
	}
}
