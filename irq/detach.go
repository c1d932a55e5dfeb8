package irq

import (
	"context"
	"maps"
	"slices"
)

// Detach removes the source. While connected it is ErrStillConnected (764) with the list, unless force:
// then every connection that has a vector here is revoked with ErrNotConnected (1167, ReasonSourceGone)
// and the call returns when all is unwired (rule 12); from inside a handler it returns at once. If the
// context ends first, that is ErrTimeout or ErrCancelled, and the source leaves later all the same.
// Waiters that named a vector here get 1167. A second Detach waits like the first.
func (s *Source) Detach(ctx context.Context, force bool) error {
	r := s.r
	r.mu.Lock()
	if r.source(s.spec.Name) != s {
		r.mu.Unlock()
		return nil
	}
	if len(s.conns) > 0 && !force && !s.leaving {
		err := &Error{Code: ErrStillConnected, Operation: "detach", Name: s.spec.Name, Reason: ReasonHeld, Conflicts: s.inUse(nil),
			Detail: "it has vectors that are connected", Remedies: []string{"ivt list " + s.spec.Name + " --held", "disconnect its holders first, or detach with force"}}
		r.mu.Unlock()
		r.refusal(&Request{Operation: "detach", Holder: thisProcess()}, err)
		return err
	}
	s.leaving = true
	r.turnAway(s)
	conns := slices.Collect(maps.Keys(s.conns))
	s.left()
	r.mu.Unlock()
	for _, c := range conns {
		r.async(func() { c.end(cause{ReasonSourceGone, "the source " + s.spec.Name + " is gone"}) })
	}
	select {
	case <-s.gone:
		return nil
	default:
	}
	if insideHandler() {
		return nil
	}
	select {
	case <-s.gone:
		return nil
	case <-ctx.Done():
		err := endedError("detach", ctx)
		err.Name, err.Detail = s.spec.Name, "a handler still runs or a vector is still being unwired; the source leaves when that is over"
		return err
	}
}

// turnAway ends the waits for a source that leaves. Locked.
func (r *Registry) turnAway(s *Source) {
	for w := range r.waiters {
		here := w.q.Any != nil && w.q.Any.Source == s.spec.Name
		if here || slices.ContainsFunc(w.named, func(l *Line) bool { return l.group.source == s }) {
			r.dismiss(w, leavingError(w.q.Operation, s))
		}
	}
}

// left removes the source if it is leaving and the last connection has gone. Locked.
func (s *Source) left() {
	r := s.r
	if !s.leaving || len(s.conns) > 0 {
		return
	}
	i, ok := r.search(s.spec.Name)
	if !ok || r.sources[i] != s {
		return
	}
	r.sources = slices.Delete(r.sources, i, i+1)
	for alias := range s.spec.Aliases {
		delete(r.aliases, alias)
	}
	r.add(Event{Kind: EventRemoved, Source: s.spec.Name})
	close(s.gone)
}

// SetUnavailable marks a vector as unavailable with reason and holders outside the registry (its first
// conflict's), or available again with nil. Claims get the code, reason, detail and conflicts of c. Who
// holds the vector keeps it.
func (s *Source) SetUnavailable(v Vector, c *Error) {
	r := s.r
	r.mu.Lock()
	defer r.mu.Unlock()
	l, _ := r.resolve(v)
	if l == nil || l.group.source != s {
		return
	}
	e := Event{Kind: EventChanged, Vector: l.Vector(), Source: s.spec.Name, Detail: "available"}
	if l.use().broken = c; c != nil {
		e.Reason, e.Detail = c.Reason, c.Detail
	}
	l.refile()
	r.add(e)
	if c == nil {
		r.grant([]*queue{&l.more.queue, &s.queue}, 0)
	}
}
