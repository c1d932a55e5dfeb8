package irq

import (
	"fmt"
	"time"
)

// Rule 11, with Linux's numbers (kernel/irq/spurious.c): a vector is suppressed for a connection when
// 99,900 of 100,000 deliveries were not its own. A retry comes after 50 ms·2ⁿ.
const (
	stormWindow  = 100_000
	stormMisses  = 99_900
	stormPause   = 50 * time.Millisecond
	stormMaxStep = 8
	// stormSpan is the longest a window may take: on average one in 100 ms, less is no storm.
	stormSpan = stormWindow * 100 * time.Millisecond
)

// A storm is the account of a connection's unproductive interrupts on one vector. The window is measured
// by the sequence, so a productive delivery costs nothing.
type storm struct {
	start   uint64 // sequence before the window
	misses  uint64
	since   time.Time
	others  uint64 // what the sharers had handled at the last miss
	step    uint8  // n of the next pause
	waiting func() bool
}

// judge counts a verdict and reports whether a storm has been found. chain.mu is held.
func (a *action) judge(sequence uint64, handled bool) bool {
	s, c := &a.storm, a.chain
	if handled {
		c.handled++
		s.others = c.handled
		a.calm()
		return false
	}
	a.unhandled++
	if c.handled != s.others { // a sharer's interrupt: productive, nobody's fault
		s.others = c.handled
		return false
	}
	now := a.conn.r.clock.Now
	if s.misses == 0 {
		s.start, s.since = sequence-1, now()
	}
	s.misses++
	total := sequence - s.start
	if total < stormWindow {
		return false
	}
	found := total-s.misses <= stormWindow-stormMisses && now().Sub(s.since) <= stormSpan
	s.misses = 0
	if !found {
		a.calm() // where only misses are told, a window that is no storm is what shows that it is over
	}
	return found
}

// calm takes the back-off one step down. chain.mu is held.
func (a *action) calm() {
	if a.storm.step == 0 {
		return
	}
	if a.storm.step--; a.storm.step == 0 && !a.chain.fans() {
		a.word.And(^careful)
	}
}

// suppress masks the action and retries later.
func (a *action) suppress() {
	r := a.conn.r
	c := a.chain
	c.mu.Lock()
	if a.word.Load()&(off|stormy) != 0 {
		c.mu.Unlock()
		return
	}
	pause := stormPause << a.storm.step
	a.storm.step = min(a.storm.step+1, stormMaxStep)
	a.word.Or(stormy | careful)
	a.storm.waiting = r.after(pause, a.retry)
	alone := len(c.actions) == 1
	c.mu.Unlock()
	r.totals.storms.Add(1)
	r.record(EventStorm, a, "", fmt.Sprintf("%d of %d interrupts were not its own; masked, tried again in %v", stormMisses, stormWindow, pause))
	if alone {
		r.async(func() { c.applyMask() }) // not from within Raise, which the source may be calling
	}
}

// retry ends the pause.
func (a *action) retry() {
	c := a.chain
	c.mu.Lock()
	a.storm.waiting = nil
	a.word.And(^stormy)
	leaving := a.word.Load()&off != 0
	c.mu.Unlock()
	if !leaving {
		c.applyMask()
		a.kick(byRegistry)
		c.refire()
	}
}
