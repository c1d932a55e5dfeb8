package irq

import "fmt"

// HolderDied tells that the holder's process is gone: with a grace the vectors become orphaned, else
// they are released (rule 6). It unwires, which may take as long as the Wiring takes, and does not wait
// for a handler that runs.
func (c *Connection) HolderDied() { c.HolderDiedGeneration(0) }

// HolderDiedGeneration is HolderDied for the holder of that generation (0: the present one): if the
// connection has been resumed since, or is an orphan already, it does nothing.
func (c *Connection) HolderDiedGeneration(generation uint64) {
	r := c.r
	r.mu.Lock()
	switch {
	case generation != 0 && generation != c.generation, c.state == orphaning, c.state == orphaned:
		r.mu.Unlock()
		return
	case c.grace == 0 || c.state != connected || c.revoking:
		r.mu.Unlock()
		c.end(endClosed("its holder is gone"))
		return
	}
	c.state = orphaning
	c.cancelTimer()
	c.until = r.clock.Now().Add(c.grace)
	idle := c.stop()
	r.mu.Unlock()
	c.forgive()
	if idle {
		c.finish()
	}
}

// orphan starts the grace. Locked.
func (c *Connection) orphan() {
	c.state = orphaned
	c.r.orphans++
	for _, a := range c.actions {
		c.r.record(EventOrphaned, a, ReasonOrphaned, fmt.Sprintf("its holder is gone; kept for %v", c.grace))
	}
	c.armGrace()
}

func (c *Connection) armGrace() {
	c.stopTimer = c.r.after(max(0, c.until.Sub(c.r.clock.Now())), func() { c.end(endClosed("its holder is gone and the grace is over")) })
}
