package irq

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// Connect claims the vectors of the request, all or none (rules 1, 2, 3, 10).
//
// Errors: every code. The context ends a wait and bounds the wiring. A refused claim has touched nothing
// of those who hold the vectors.
func (r *Registry) Connect(ctx context.Context, q Request) (*Connection, error) {
	q.complete()
	if err := q.malformed(); err != nil {
		return nil, r.refused(&q, err)
	}
	if ctx.Err() != nil {
		return nil, r.refused(&q, endedError(q.Operation, ctx))
	}
	c, err := r.claim(ctx, &q)
	if err != nil {
		return nil, r.refused(&q, err)
	}
	if c == nil {
		return nil, nil // a dry run that would succeed
	}
	if err := c.establish(q.Operation, byWiring(ctx), EventConnected); err != nil {
		return nil, r.refused(&q, err)
	}
	return c, nil
}

// claim checks and reserves, waiting if asked to.
func (r *Registry) claim(ctx context.Context, q *Request) (c *Connection, err *Error) {
	r.mu.Lock()
	p, at, err := r.check(q, newcomer)
	switch {
	case err == nil && q.DryRun:
	case err == nil:
		c = r.reserve(q, p)
	case q.Wait && !q.DryRun && at != nil:
		w := r.enqueue(q, at)
		r.mu.Unlock()
		return r.await(ctx, w)
	}
	r.mu.Unlock()
	return c, err
}

// reserve makes the connection that check has found possible. Its vectors are taken from now on, its
// handlers are not called yet. Locked.
func (r *Registry) reserve(q *Request, p plan) *Connection {
	r.serial++
	r.calls = r.calls || q.Handler != nil
	c := &Connection{
		r: r, id: "c" + strconv.FormatUint(r.serial, 10), generation: 1, state: connecting,
		shared: q.Shared, access: q.Access, consent: q.Consent, grace: q.Grace, onNotice: q.OnNotice, handler: q.Handler,
	}
	h := q.Holder
	h.Since, h.Connection, h.Shared, h.Access = r.clock.Now(), c.id, q.Shared, q.Access
	c.holder.Store(&h)
	c.actions = make([]*action, len(p.lines))
	block := make([]action, len(p.lines))
	for i, l := range p.lines {
		a := &block[i]
		a.line, a.conn, a.slot, a.handler = l, c, i, q.Handler
		if p.accounts != nil && p.accounts[i] != "" {
			a.account = p.accounts[i]
			r.accounts[a.account]++
		}
		c.actions[i] = a
		l.take(a, q.Shared)
	}
	return c
}

// take puts a on the line, blocked. Locked.
func (l *Line) take(a *action, shared bool) {
	m, s := l.use(), l.group.source
	if m.chain == nil {
		m.chain = &chain{line: l, shared: shared, level: l.group.Trigger == TriggerLevel}
		l.group.held++
		s.held++
		l.refile()
	}
	a.chain, a.late = m.chain, &l.late
	if a.chain.fans() {
		a.late = &a.own
		a.word.Or(careful)
	}
	a.word.Or(off)
	a.chain.mu.Lock()
	a.chain.actions = append(slices.Clip(a.chain.actions), a)
	if a.chain.debts > 0 { // who was overdue alone mutes somebody now
		a.chain.watch(a.conn.r.config.AckDeadline)
	}
	a.chain.mu.Unlock()
	s.conns[a.conn]++
	if a.conn.access == AccessDevice {
		s.device = a.conn
	}
}

// establish wires a reserved connection and starts deliveries; if that fails nothing is left of it. Without a kind nobody is told
// or rung yet.
func (c *Connection) establish(operation string, how wirer, kind EventKind) *Error {
	failed := c.wire(operation, how)
	r := c.r
	r.mu.Lock()
	if failed == nil {
		failed = c.killed
	}
	if failed != nil {
		if c.state = ending; c.killed == nil {
			c.ending = endClosed("it was never established")
		}
		r.mu.Unlock()
		c.finish()
		return failed
	}
	r.enroll(c)
	ring := c.ringing(c.start())
	if kind == "" {
		r.mu.Unlock()
		return nil
	}
	for _, a := range c.actions {
		r.record(kind, a, "", "")
	}
	r.mu.Unlock()
	ring()
	return nil
}

// enroll makes c known. Locked.
func (r *Registry) enroll(c *Connection) {
	r.roll.add(c)
	r.conns[c.id] = c
}

// A wirer wires one vector and returns its handler, nil if the kernel delivers.
type wirer func(*action) (Handler, error)

// byWiring wires as the source does it; without a Wiring the handler is the request's.
func byWiring(ctx context.Context) wirer {
	return func(a *action) (Handler, error) {
		if w := a.wiring(); w != nil {
			return w.Wire(ctx, a.claim())
		}
		return a.handler, nil
	}
}

func (a *action) wiring() Wiring { return a.line.group.source.spec.Wiring }

// wire wires the vectors one at a time and undoes all if one fails.
func (c *Connection) wire(operation string, how wirer) *Error {
	for _, a := range c.actions {
		a.chain.wiring.Lock()
		h, err := how(a)
		a.chain.wiring.Unlock()
		if err != nil {
			c.unwire()
			return wiringError(operation, a.line.Vector(), err)
		}
		a.handler, a.wired, a.live = h, a.wiring() != nil, true
	}
	return nil
}

// unwire undoes wire, in reverse. A vector that cannot be unwired becomes unavailable.
func (c *Connection) unwire() {
	for _, a := range slices.Backward(c.actions) {
		w, live := a.wiring(), a.live
		a.live = false
		if !live || w == nil {
			continue
		}
		a.chain.wiring.Lock()
		err := w.Unwire(a.claim())
		a.chain.reset(a, w)
		a.chain.wiring.Unlock()
		if err != nil {
			a.line.group.source.SetUnavailable(a.line.Vector(), unwiredError(a.line.Vector(), err))
		}
	}
}

func unwiredError(v Vector, err error) *Error {
	e := wiringError("disconnect", v, err)
	if e.Code != ErrAlreadyConnected && e.Code != ErrBusy {
		e.Code, e.Reason = ErrStillConnected, ReasonDraining
	}
	if e.Detail == "" || e.Detail == "the vector could not be wired" {
		e.Detail = "the vector could not be taken from its former holder"
	}
	return e
}

// claim is a as Wiring sees it.
func (a *action) claim() Claim {
	c := a.conn
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return Claim{
		Vector: a.line.Vector(), Connection: c.id, Generation: c.generation, Holder: c.Holder(), Trigger: a.line.group.Trigger,
		Shared: c.shared, Access: c.access, First: len(a.chain.actions) == 1, Line: a.line, Handler: c.handler,
	}
}

// start lets interrupts through and returns the actions to ring, because somebody was there before or
// something has come meanwhile (rule 9). Locked.
func (c *Connection) start() (ring []*action) {
	c.state = connected
	c.live.Store(c.generation)
	for _, a := range c.actions {
		l := a.line
		if l.action.Load() == nil {
			l.action.Store(a)
		}
		if a.handler != nil {
			a.word.And(^off)
		}
		// Whoever raises now either sees the action or has been counted before this look.
		if l.more.former || c.generation > 1 || a.late.Load() > 0 || l.late.Load() > 0 {
			ring = append(ring, a)
		}
	}
	return ring
}

// ringing returns what wakes the present holder once more, after the new wiring (rule 9). Locked; what it returns is called
// without the lock.
func (c *Connection) ringing(actions []*action) (ring func()) {
	delivers := make([]bool, len(actions)) // the kernel; the next generation's wiring writes handler
	for i, a := range actions {
		delivers[i] = a.handler == nil
	}
	return func() {
		for i, a := range actions {
			if !delivers[i] {
				a.ring()
				continue
			}
			c.r.totals.rang.Add(1)
			c.r.complain(a.line, "ring", a.wiring().Ring(a.line.Vector()))
		}
	}
}

// shown is the holder as others see it. Locked.
func (c *Connection) shown() Holder {
	h := c.Holder()
	if c.state == orphaned {
		h.Left = max(0, c.until.Sub(c.r.clock.Now())).Round(time.Millisecond)
	}
	return h
}
