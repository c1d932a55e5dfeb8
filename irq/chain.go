package irq

import (
	"slices"
	"sync"
	"time"
)

// A chain is the actions of one vector in use: one, or several that share it. It has a lock of its own,
// taken after Registry.mu and never held across a handler, so that a busy shared line slows nobody else.
type chain struct {
	line   *Line
	shared bool
	level  bool

	// wiring is held across calls of the Wiring for this vector, which puts them in sequence. It is taken
	// before Registry.mu and mu, never while one of them is held.
	wiring sync.Mutex

	mu       sync.Mutex
	actions  []*action   // replaced, never changed; under Registry.mu and mu
	debts    int         // actions that owe an acknowledgement (rule 8)
	watching func() bool // stops the deadline's timer; nil if none runs
	hard     bool        // masked in hardware by us; under wiring and mu
	dead     bool        // the last action has left
	handled  uint64      // productive deliveries to all sharers
	arrived  uint64      // only where it fans
}

// A debt is where an action of a level line stands in the present interrupt.
type debt uint8

const (
	none  debt = iota
	due        // to be delivered
	owing      // delivered, not acknowledged
)

// fans reports whether an interrupt is copied or held back here, which takes the lock.
func (c *chain) fans() bool { return c.shared || c.level }

// raise gives every action its copy. It reports false if the chain has ended.
func (c *chain) raise(i Interrupt) bool {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return false
	}
	i.Count += c.line.late.Swap(0)
	c.arrived += i.Count
	for _, a := range c.actions {
		a.late.Add(i.Count)
		if i.Time != 0 || i.Lost != 0 || i.Data != 0 || i.Rang {
			a.noteLocked(i)
		}
	}
	fired := !c.level || c.fire()
	actions := c.actions
	c.mu.Unlock()
	if fired {
		kickAll(actions, byRaiser)
	}
	return true
}

func kickAll(actions []*action, by kicker) {
	for _, a := range actions {
		a.kick(by)
	}
}

// fire makes everyone due who has something to get and is not blocked, unless the line is masked by
// debts: then it fires when they are settled. Locked.
func (c *chain) fire() bool {
	if c.debts > 0 {
		return false
	}
	for _, a := range c.actions {
		if a.word.Load()&blocked == 0 && (a.late.Load() > 0 || a.noted) {
			c.owes(a, due)
		}
	}
	return c.debts > 0
}

// owes moves an action's debt. Locked.
func (c *chain) owes(a *action, d debt) {
	switch {
	case a.debt == none && d != none:
		c.debts++
		a.asked = a.conn.r.clock.Now()
		c.watch(a.conn.r.config.AckDeadline)
	case a.debt != none && d == none:
		c.debts--
	}
	a.debt = d
}

// block stops deliveries to a: what is due waits until it is unblocked, what is owed stays owed.
// It returns the word as it was.
func (c *chain) block(a *action, flag uint64) (before uint64) {
	c.mu.Lock()
	before = a.word.Or(flag)
	settled := false
	if a.debt == due {
		c.owes(a, none)
		settled = c.debts == 0
	}
	c.mu.Unlock()
	if settled {
		c.unmask()
	}
	return before
}

// settle is what a verdict means.
func (a *action) settle(sequence uint64, v Verdict) {
	if v == Pending {
		return
	}
	a.acknowledge(sequence, v != Unhandled)
	if v == Done {
		a.conn.end(endClosed("ended by its handler"))
	}
}

// acknowledge settles what a owes for that sequence and counts whether it was productive.
func (a *action) acknowledge(sequence uint64, handled bool) {
	c := a.chain
	c.mu.Lock()
	if a.debt == owing && a.owed == sequence {
		c.owes(a, none)
	} else if c.level {
		c.mu.Unlock() // settled already
		return
	}
	storms := a.judge(sequence, handled)
	settled := c.level && c.debts == 0
	c.mu.Unlock()
	if storms {
		a.suppress()
	}
	if settled {
		c.unmask()
	}
}

// forgive settles whatever a owes: it leaves or is revoked (rules 6 and 8).
func (c *chain) forgive(a *action) {
	c.mu.Lock()
	settled := a.debt != none
	c.owes(a, none)
	settled = settled && c.debts == 0 && !c.dead
	c.mu.Unlock()
	if settled {
		c.unmask()
	}
}

// unmask opens a level line that everybody has acknowledged, and fires it again if it was raised
// meanwhile or is still asserted.
func (c *chain) unmask() {
	if w := c.line.group.source.spec.Wiring; w != nil && c.level {
		c.wiring.Lock()
		if c.open() {
			c.line.group.source.r.complain(c.line, "unmask", w.SetMask(c.line.Vector(), false))
			c.setHard(false)
		}
		c.wiring.Unlock()
	}
	c.refire()
}

// open reports whether nothing keeps the line masked.
func (c *chain) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.debts == 0 && c.able()
}

// able reports whether anybody can be delivered to. Locked.
func (c *chain) able() bool {
	return slices.ContainsFunc(c.actions, func(a *action) bool { return a.word.Load()&blocked == 0 })
}

// refire raises a level line that is free to fire and has reason to: somebody has not got what came
// while it was masked, or it is still asserted.
func (c *chain) refire() {
	if !c.level {
		return
	}
	c.mu.Lock()
	fired := c.fire()
	if !fired && c.debts == 0 && c.line.high.Load() && c.able() {
		c.arrived++
		for _, a := range c.actions {
			a.late.Add(1)
		}
		fired = c.fire()
	}
	actions := c.actions
	c.mu.Unlock()
	if fired {
		kickAll(actions, byRegistry)
	}
}

// watch starts the timer that finds overdue debts. Locked.
func (c *chain) watch(d time.Duration) {
	if c.watching == nil && !c.dead {
		c.watching = c.line.group.source.r.after(d.Abs(), c.overdue)
	}
}

// overdue names those who have owed an acknowledgement for longer than the deadline, and revokes them if
// that keeps the line from others (rule 8).
func (c *chain) overdue() {
	r := c.line.group.source.r
	deadline, now := r.config.AckDeadline, r.clock.Now()
	c.mu.Lock()
	c.watching = nil
	var late []*action
	var next time.Duration
	for _, a := range c.actions {
		if a.debt == none {
			continue
		}
		if left := deadline.Abs() - now.Sub(a.asked); left <= 0 {
			late = append(late, a)
		} else if next == 0 || left < next {
			next = left
		}
	}
	if next > 0 {
		c.watch(next)
	}
	others := len(c.actions) > 1
	c.mu.Unlock()
	for _, a := range late {
		r.stalled(a, others && deadline > 0)
	}
}
