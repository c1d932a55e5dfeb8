package irq

import (
	"context"
	"sync/atomic"
	"time"
)

// A Connection is a claim that was granted.
type Connection struct {
	r       *Registry
	id      string
	order   uint64 // in the roll
	shared  bool
	access  Access
	consent bool // with AccessDevice: others may have vectors beside it
	grace   time.Duration
	actions []*action
	holder  atomic.Pointer[Holder]

	onNotice func(Notice)
	handler  Handler // the request's

	// Guarded by Registry.mu.
	state      standing
	generation uint64
	successor  int
	busy       int    // actions whose handler still runs while the connection is being stopped
	killed     *Error // what ended it while it was being wired
	ending     cause
	over       *Error
	until      time.Time // the end of the grace, or of a revocation's
	stopTimer  func() bool
	orphanhood chan struct{} // closed when orphaning ends; nil if nobody waits for it
	outbox     []Notice
	posting    bool
	revoking   bool          // with a grace that runs
	closed     bool          // done is, or is to be
	done       chan struct{} // nil until somebody wants it: most connections nobody waits for

	// live is the generation while connected, else 0: what Ack looks at without the lock.
	live atomic.Uint64
}

// A standing is where a connection is in its life.
type standing uint8

const (
	connecting standing = iota // reserved, being wired
	connected
	orphaning // its holder is gone, the last handler still runs
	orphaned
	resuming // being wired for a new generation
	ending   // no more deliveries, the last handler still runs or it is being unwired
	over
)

// ID is a name, not a key: knowing it authorises nothing (rule 7).
func (c *Connection) ID() string { return c.id }

// Generation counts the holders of the connection: 1, and one more with each Resume.
func (c *Connection) Generation() uint64 {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return c.generation
}

// Vectors returns the canonical names, in the order of the request.
func (c *Connection) Vectors() []Vector {
	vs := make([]Vector, len(c.actions))
	for i, a := range c.actions {
		vs[i] = a.line.Vector()
	}
	return vs
}

// Holder returns who has it, since when; of an orphaned connection who had it.
func (c *Connection) Holder() Holder { return *c.holder.Load() }

// Done is closed when the connection is over; Err then says why (ErrNotConnected with its reason).
func (c *Connection) Done() <-chan struct{} {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.closed {
			close(c.done)
		}
	}
	return c.done
}

// Err returns nil until Done is closed.
func (c *Connection) Err() error {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if c.over == nil {
		return nil
	}
	return c.over
}

// usable returns an error unless the connection is up and generation (0: any) is its present one. Locked.
func (c *Connection) usable(operation string, generation uint64) *Error {
	if err := c.alive(operation, generation); err != nil || c.state == connected {
		return err
	}
	return &Error{Code: ErrNotConnected, Operation: operation, Vector: c.onlyVector(), Name: c.id, Reason: ReasonOrphaned, Detail: "its holder is gone"}
}

// alive returns an error unless there is something to end and generation (0: any) is the present one. Locked.
func (c *Connection) alive(operation string, generation uint64) *Error {
	switch {
	case c.state == ending || c.state == over:
		return &Error{Code: ErrNotConnected, Operation: operation, Vector: c.onlyVector(), Name: c.id, Reason: c.ending.reason, Detail: c.ending.detail}
	case generation != 0 && generation != c.generation:
		return &Error{Code: ErrNotConnected, Operation: operation, Vector: c.onlyVector(), Name: c.id, Reason: ReasonStaleGeneration,
			Detail: "the connection was handed on since"}
	}
	return nil
}

func (c *Connection) onlyVector() Vector {
	if len(c.actions) == 1 {
		return c.actions[0].line.Vector()
	}
	return Vector{}
}

// Ack acknowledges delivery sequence of vector slot; handled false counts towards a storm. A stale generation
// is ErrNotConnected (ReasonStaleGeneration) and touches nothing (rule 7). An old or repeated sequence does
// nothing, one that was never delivered is ErrInvalidParameter; where the kernel delivers it is ErrNotSupported.
func (c *Connection) Ack(generation uint64, slot int, sequence uint64, handled bool) error {
	if live := c.live.Load(); live == 0 || generation != 0 && generation != live {
		c.r.mu.Lock()
		err := c.usable("acknowledge", generation)
		c.r.mu.Unlock()
		if err != nil {
			return c.r.complained(c, err)
		}
	}
	bad := func(code Code, reason Reason, detail string) error {
		return c.r.complained(c, &Error{Code: code, Operation: "acknowledge", Vector: c.onlyVector(), Reason: reason, Detail: detail})
	}
	if slot < 0 || slot >= len(c.actions) {
		return bad(ErrInvalidParameter, ReasonOutOfRange, "the connection has no such slot")
	}
	a := c.actions[slot]
	if a.handler == nil {
		return bad(ErrNotSupported, "", "the kernel delivers this vector, there is nothing to acknowledge here")
	}
	if given, _ := a.counts(); sequence > given {
		return bad(ErrInvalidParameter, ReasonOutOfRange, "that has not been delivered")
	}
	if a.fresh(sequence) {
		a.acknowledge(sequence, handled)
	}
	return nil
}

// fresh reports whether that delivery has not been acknowledged, and marks it.
func (a *action) fresh(sequence uint64) bool {
	a.chain.mu.Lock()
	defer a.chain.mu.Unlock()
	if sequence <= a.acked {
		return false
	}
	a.acked = sequence
	return true
}

// SetSuccessor names the process (0: none) whose waiting Connect goes first when the connection ends (rule 10).
func (c *Connection) SetSuccessor(generation uint64, pid int) error {
	c.r.mu.Lock()
	err := c.usable("set successor", generation)
	if err == nil {
		c.successor = pid
	}
	c.r.mu.Unlock()
	if err != nil {
		return c.r.complained(c, err)
	}
	return nil
}

// Connection returns a live (or orphaned) connection by id, or ErrNotConnected.
func (r *Registry) Connection(id string) (*Connection, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.conns[id]; c != nil {
		return c, nil
	}
	return nil, &Error{Code: ErrNotConnected, Operation: "find connection", Name: id, Reason: ReasonClosed, Detail: "there is no such connection"}
}

// Disconnect ends the connection. When it returns nil, nothing more is delivered and the handler neither
// runs nor will (rule 5).
//
// From inside a handler, the connection's own or another's, Disconnect does not wait, because there it
// might for ever: if a handler of the connection runs, it takes effect when that returns, and Done is
// closed then. A goroutine that a handler has started does wait, so the handler must not wait for it.
//
// A second call is ErrNotConnected. The context bounds only the waiting: ErrTimeout or ErrCancelled, and
// the end takes effect later all the same.
func (c *Connection) Disconnect(ctx context.Context) error { return c.DisconnectGeneration(ctx, 0) }

// DisconnectGeneration is Disconnect for a caller who may be of an older generation: if it is, that is
// ErrNotConnected (ReasonStaleGeneration) and touches nothing (rule 7). 0 is any.
func (c *Connection) DisconnectGeneration(ctx context.Context, generation uint64) error {
	c.r.mu.Lock()
	err := c.alive("disconnect", generation)
	if err != nil {
		c.r.mu.Unlock()
		return c.r.complained(c, err)
	}
	return c.endLocked(ctx, "disconnect", endClosed("it was disconnected"))
}
