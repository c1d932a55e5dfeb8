package irq

import "slices"

// Mask stops deliveries of v: interrupts that arrive meanwhile are pending and are delivered together
// after Unmask. v may be an alias. On a vector with an edge trigger that is shared, only this
// connection's copy is masked.
//
// ErrNotSupported (ReasonNotMaskable) where the vector cannot be masked, or if it is a level line that
// others share; ErrInvalidParameter if v is not the connection's; ErrNotConnected.
func (c *Connection) Mask(generation uint64, v Vector) error {
	return c.setMask("mask", generation, v, true)
}

// Unmask undoes Mask. What has arrived meanwhile is delivered at once. Errors as those of Mask.
func (c *Connection) Unmask(generation uint64, v Vector) error {
	return c.setMask("unmask", generation, v, false)
}

func (c *Connection) setMask(operation string, generation uint64, v Vector, mask bool) error {
	a, refusal := c.maskable(operation, generation, v)
	if refusal != nil {
		return c.r.complained(c, refusal)
	}
	var before uint64
	if mask {
		before = a.chain.block(a, masked)
	} else {
		before = a.word.And(^masked)
	}
	if before&masked != 0 == mask {
		return nil
	}
	if err := a.chain.applyMask(); err != nil {
		if mask {
			a.word.And(^masked)
			a.kick(byRegistry)
			a.chain.refire()
		} else {
			a.word.Or(masked)
		}
		return c.r.complained(c, wiringError(operation, a.line.Vector(), err))
	}
	if mask {
		c.r.record(EventMasked, a, "", "")
		return nil
	}
	c.r.record(EventUnmasked, a, "", "")
	a.kick(byRegistry)
	a.chain.refire()
	return nil
}

// maskable finds the action that a call is about.
func (c *Connection) maskable(operation string, generation uint64, v Vector) (*action, *Error) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if err := c.usable(operation, generation); err != nil {
		return nil, err
	}
	l, _ := c.r.resolve(v)
	i := slices.IndexFunc(c.actions, func(a *action) bool { return a.line == l })
	if i < 0 {
		return nil, &Error{Code: ErrInvalidParameter, Operation: operation, Vector: v, Reason: ReasonOutOfRange, Detail: "the vector is not one of the connection's"}
	}
	a := c.actions[i]
	e := &Error{Code: ErrNotSupported, Operation: operation, Vector: v, Reason: ReasonNotMaskable}
	switch {
	case !l.group.Maskable:
		e.Detail = "this kind of vector cannot be masked"
	case a.chain.level && a.chain.shared:
		e.Detail = "the level line is shared: masking it would mute the others"
	default:
		return a, nil
	}
	return nil, e
}

// applyMask brings the hardware's mask to what the actions want: masked if all are.
func (c *chain) applyMask() error {
	g := c.line.group
	w := g.source.spec.Wiring
	if w == nil || !g.Maskable && !c.level {
		return nil
	}
	c.wiring.Lock()
	defer c.wiring.Unlock()
	c.mu.Lock()
	want := !c.dead && !slices.ContainsFunc(c.actions, func(a *action) bool { return a.word.Load()&(masked|stormy) == 0 })
	same := want == c.hard || !want && c.debts > 0
	c.mu.Unlock()
	if same {
		return nil
	}
	if err := w.SetMask(c.line.Vector(), want); err != nil {
		return err
	}
	c.setHard(want)
	return nil
}

func (c *chain) setHard(hard bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hard = hard
}

// reset leaves no mask behind for the next holder. c.wiring is held.
func (c *chain) reset(a *action, w Wiring) {
	a.word.And(^masked)
	if c.hard {
		c.setHard(false)
		c.line.group.source.r.complain(c.line, "unmask", w.SetMask(c.line.Vector(), false))
	}
}
