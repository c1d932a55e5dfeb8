package irq

import "context"

// Resume hands an orphaned connection to its restarted holder as a new generation, rewired and rung.
// Whoever calls it has made sure that h may. While the former holder lives it is ErrAlreadyConnected,
// after the grace ErrNotConnected; while the former holder's last handler still runs it waits. If the
// wiring fails the connection stays orphaned for what is left of the grace.
func (c *Connection) Resume(ctx context.Context, h Holder) error {
	if err := c.prepare(ctx, h); err != nil {
		return c.r.complained(c, err)
	}
	failed := c.wire("resume", byWiring(ctx))
	r := c.r
	r.mu.Lock()
	switch {
	case c.killed != nil:
		failed = c.killed
		c.state = ending
		r.mu.Unlock()
		c.finish()
	case failed != nil:
		c.state = orphaned
		r.orphans++
		c.armGrace()
		r.mu.Unlock()
	default:
		ring := c.ringing(c.start())
		for _, a := range c.actions {
			r.record(EventResumed, a, "", "")
		}
		r.mu.Unlock()
		ring()
		return nil
	}
	return r.complained(c, failed)
}

// prepare starts a new generation.
func (c *Connection) prepare(ctx context.Context, h Holder) *Error {
	r := c.r
	r.mu.Lock()
	defer r.mu.Unlock()
	for c.state == orphaning {
		if c.orphanhood == nil {
			c.orphanhood = make(chan struct{})
		}
		drained := c.orphanhood
		r.mu.Unlock()
		select {
		case <-drained:
			r.mu.Lock()
		case <-ctx.Done():
			r.mu.Lock()
			return endedError("resume", ctx)
		}
	}
	if err := c.alive("resume", 0); err != nil {
		return err
	}
	if c.state != orphaned {
		return &Error{Code: ErrAlreadyConnected, Operation: "resume", Vector: c.onlyVector(), Reason: ReasonHeld, Detail: "its holder is alive", Conflicts: c.conflicts(nil)}
	}
	c.cancelTimer()
	c.state, c.killed = resuming, nil
	r.orphans--
	c.generation++
	was := c.Holder()
	h.Since, h.Connection, h.Shared, h.Access = r.clock.Now(), c.id, was.Shared, was.Access
	c.holder.Store(&h)
	return nil
}

// conflicts lists the connection's vectors on s (nil: all). Locked.
func (c *Connection) conflicts(s *Source) (cs []Conflict) {
	for _, a := range c.actions {
		if s == nil || a.line.group.source == s {
			cs = append(cs, Conflict{Vector: a.line.Vector(), Reason: ReasonHeld, Holders: []Holder{c.shown()}})
		}
	}
	return cs
}
