package irq

import (
	"context"
	"slices"
)

// A cause is why a connection ends.
type cause struct {
	reason Reason
	detail string
}

func endClosed(detail string) cause  { return cause{ReasonClosed, detail} }
func endRevoked(detail string) cause { return cause{ReasonRevoked, detail} }

// end ends the connection unless it is ending already. It waits for nobody's handler.
func (c *Connection) end(why cause) {
	c.r.mu.Lock()
	mine := c.begin(why)
	c.r.mu.Unlock()
	c.forgive()
	if mine {
		c.finish()
	}
}

// endLocked is end, and then waits until it is over. It unlocks the registry.
func (c *Connection) endLocked(ctx context.Context, operation string, why cause) error {
	mine := c.begin(why)
	called := c.r.calls
	c.r.mu.Unlock()
	c.forgive()
	inside := false
	if mine && !c.wired() {
		c.finish()
	} else if inside = called && insideHandler(); mine && inside {
		c.r.async(c.finish)
	} else if mine {
		c.finish()
	}
	if inside {
		return nil
	}
	return c.wait(ctx, operation)
}

// wait returns when the connection is over.
func (c *Connection) wait(ctx context.Context, operation string) error {
	done := c.Done()
	select {
	case <-done:
		return nil
	default:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		err := endedError(operation, ctx)
		err.Name, err.Vector, err.Detail = c.id, c.onlyVector(), "a handler still runs; the connection ends when it returns"
		return err
	}
}

func (c *Connection) wired() bool {
	return slices.ContainsFunc(c.actions, func(a *action) bool { return a.wiring() != nil })
}

// begin stops deliveries and reports whether the caller is to finish: the connection was up and no
// handler of it runs. Locked.
func (c *Connection) begin(why cause) (finish bool) {
	was := c.state
	switch was {
	case ending, over:
		return false
	case connecting, resuming: // whoever wires it will see
		if c.killed == nil {
			c.killed = &Error{Code: ErrNotConnected, Operation: "connect", Vector: c.onlyVector(), Reason: why.reason, Detail: why.detail}
			c.ending = why
		}
		return false
	}
	c.state, c.ending = ending, why
	c.cancelTimer()
	switch was {
	case connected:
		return c.stop()
	case orphaned:
		c.r.orphans--
		return true
	}
	return false // orphaning: whoever finishes that will see
}

func (c *Connection) cancelTimer() {
	if c.stopTimer != nil {
		c.stopTimer()
		c.stopTimer = nil
	}
}

// stop blocks all deliveries and reports whether no handler runs. Locked.
func (c *Connection) stop() (idle bool) {
	c.live.Store(0)
	for _, a := range c.actions {
		if a.handler != nil && a.word.Or(off)&running != 0 {
			c.busy++
		}
	}
	return c.busy == 0
}

// drained is called by the last runner of an action that was stopped under it.
func (c *Connection) drained() {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if c.busy--; c.busy == 0 {
		c.r.async(c.finish)
	}
}

// forgive settles what the connection owes, if it is being stopped, so that other sharers go on (rules 6 and 8).
func (c *Connection) forgive() {
	for _, a := range c.actions {
		if a.chain.level && a.word.Load()&off != 0 {
			a.chain.forgive(a)
		}
	}
}

// finish unwires and lets go, when no handler runs any more.
func (c *Connection) finish() {
	c.unwire()
	r := c.r
	r.mu.Lock()
	if c.state == orphaning {
		c.orphan()
	} else {
		c.release()
	}
	if c.orphanhood != nil {
		close(c.orphanhood)
		c.orphanhood = nil
	}
	r.mu.Unlock()
	c.post()
}

// release gives the vectors back and lets in who waits. Locked.
func (c *Connection) release() {
	r := c.r
	established := r.conns[c.id] == c
	c.state = over
	c.over = &Error{Code: ErrNotConnected, Vector: c.onlyVector(), Name: c.id, Reason: c.ending.reason, Detail: c.ending.detail}
	var at []*queue
	for _, a := range c.actions {
		if established {
			r.record(EventDisconnected, a, c.ending.reason, c.ending.detail)
		}
		a.line.release(a, established)
		at = append(at, &a.line.more.queue)
		s := a.line.group.source
		if s.conns[c]--; s.conns[c] == 0 {
			delete(s.conns, c)
			if s.device == c {
				s.device = nil
			}
			at = append(at, &s.queue)
		}
		if a.account != "" {
			if r.accounts[a.account]--; r.accounts[a.account] == 0 {
				delete(r.accounts, a.account)
			}
		}
		s.left()
	}
	if established {
		delete(r.conns, c.id)
		r.roll.remove(c.order)
		c.outbox = append(c.outbox, Notice{Connection: c.id, Generation: c.generation, Reason: c.ending.reason, Detail: c.ending.detail, Err: c.over})
	}
	r.grant(at, c.successor)
}

// release takes a off the line. Interrupts that nobody was given stay for the next holder. Locked.
func (l *Line) release(a *action, former bool) {
	m, ch := l.more, a.chain
	ch.mu.Lock()
	i := slices.Index(ch.actions, a)
	ch.actions = slices.Concat(ch.actions[:i], ch.actions[i+1:])
	ch.dead = len(ch.actions) == 0
	if a.storm.waiting != nil {
		a.storm.waiting()
	}
	if ch.fans() && ch.dead {
		l.late.Add(a.own.Load())
	}
	m.unhandled += a.unhandled
	ch.mu.Unlock()
	_, taken := a.counts()
	if l.action.Load() == a {
		l.action.Store(nil)
		if !ch.dead {
			l.action.Store(ch.actions[0])
		}
	}
	m.former = m.former || former
	if !ch.dead {
		return
	}
	if ch.watching != nil {
		ch.watching()
	}
	if ch.fans() {
		taken = ch.arrived - a.own.Load()
	}
	m.taken += taken
	m.chain = nil
	l.group.held--
	l.group.source.held--
	l.refile()
}

// post hands out the notices, in order, and closes Done after the last.
func (c *Connection) post() {
	r := c.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.posting {
		return
	}
	c.posting = true
	for len(c.outbox) > 0 && c.onNotice != nil {
		n := c.outbox[0]
		c.outbox = c.outbox[1:]
		r.mu.Unlock()
		c.onNotice(n)
		r.mu.Lock()
	}
	c.posting = false
	if c.state == over && !c.closed {
		if c.closed = true; c.done != nil {
			close(c.done)
		}
	}
}
