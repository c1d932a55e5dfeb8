package irq

import (
	"context"
	"time"
)

// Revoke takes the connection away after grace (at once if 0, or if the holder is gone); the holder is
// told by OnNotice. With a grace it returns when the holder has been told, without one as Disconnect does.
// A second Revoke replaces the deadline of the first.
func (c *Connection) Revoke(ctx context.Context, grace time.Duration, why string) error {
	r := c.r
	r.mu.Lock()
	if err := c.alive("revoke", 0); err != nil {
		r.mu.Unlock()
		return r.complained(c, err)
	}
	for _, a := range c.actions {
		r.record(EventRevoked, a, ReasonRevoked, why)
	}
	if grace <= 0 || c.state != connected {
		return c.endLocked(ctx, "revoke", endRevoked(why))
	}
	c.cancelTimer()
	c.revoking = true
	c.stopTimer = r.after(grace, func() { c.end(endRevoked(why)) })
	c.outbox = append(c.outbox, Notice{Connection: c.id, Generation: c.generation, Reason: ReasonRevoked, Detail: why, Deadline: r.clock.Now().Add(grace)})
	r.mu.Unlock()
	c.post()
	return nil
}
