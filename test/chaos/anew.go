package main

import (
	"time"

	"github.com/ivtd/ivt/internal/kernel"
)

// anew kills keepers that nobody keeps anything for: each time another registry begins, and whoever held something is
// told by its lifeline. There is one history for each registry, so only the witness and the sentinels judge here.
func (c *chaos) anew() error {
	c.lost = c.w.Word(atLost).Load()
	c.w.Word(atAnew).Store(1)
	c.stop()
	c.store.close()
	c.store = nil
	if err := c.serve(); err != nil {
		return err
	}
	for range 4 {
		if err := c.add(len(c.live())); err != nil {
			return err
		}
	}
	c.calls, c.keepers, c.workers = 0, 0, 1
	for range 3 {
		s, err := c.status()
		if err != nil {
			return err
		}
		if err := c.await(500); err != nil {
			return err
		}
		from := kernel.Monotonic()
		c.stop()
		gone(s.PID) // the worker dies with its keeper
		if err := c.serve(); err != nil {
			return err
		}
		c.anewGaps = append(c.anewGaps, time.Duration(kernel.Monotonic()-from))
		c.anewKills++
		if err := c.sentinelsHold(); err != nil {
			return err
		}
		for n := range sentinels {
			c.ring(n)
		}
		if err := c.wakes(); err != nil {
			return err
		}
	}
	for _, a := range c.live() {
		a.kill()
	}
	return nil
}

// live are the present clients.
func (c *chaos) live() (all []*actor) {
	for _, a := range c.actors {
		if a != nil {
			all = append(all, a)
		}
	}
	return all
}
