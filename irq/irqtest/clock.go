package irqtest

import (
	"slices"
	"sync"
	"time"
)

// A Clock stands still until Advance. It is an irq.Clock.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	serial uint64
	timers []*timer // by time, then by serial
}

type timer struct {
	at     time.Time
	serial uint64
	f      func()
}

// NewClock returns a clock that shows now; the zero Time is the start of the year 2000 UTC.
func NewClock(now time.Time) *Clock {
	if now.IsZero() {
		now = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return &Clock{now: now}
}

// Now returns what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc has f called by the Advance that reaches d from now, also if d is not positive.
func (c *Clock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	t := &timer{c.now.Add(d), c.serial, f}
	i, _ := slices.BinarySearchFunc(c.timers, t, func(a, b *timer) int {
		if order := a.at.Compare(b.at); order != 0 {
			return order
		}
		return -1 // behind those of the same time
	})
	c.timers = slices.Insert(c.timers, i, t)
	return func() bool { return c.cancel(t) }
}

func (c *Clock) cancel(t *timer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.timers, t)
	if i < 0 {
		return false
	}
	c.timers = slices.Delete(c.timers, i, i+1)
	return true
}

// Advance moves the clock on by d and calls what is due on the way, in order, on this goroutine. While a
// function runs, the clock shows its time.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	end := c.now.Add(d)
	for len(c.timers) > 0 && !c.timers[0].at.After(end) {
		t := c.timers[0]
		c.timers = c.timers[1:]
		if t.at.After(c.now) {
			c.now = t.at
		}
		c.mu.Unlock()
		t.f()
		c.mu.Lock()
	}
	c.now = end
	c.mu.Unlock()
}

// Pending returns how many functions wait to be called.
func (c *Clock) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}
