package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/ivtd/ivt/internal/kernel"
)

// workers kills workers and clients. Histories are of one registry, so the keeper is left alone.
func (c *chaos) workers(length time.Duration, checked []*exec.Cmd) (after measure, err error) {
	for range 8 {
		c.add()
	}
	for end := time.Now().Add(length); time.Now().Before(end); {
		if err := c.step(); err != nil {
			return after, err
		}
	}
	epoch := c.w.word(atEpoch).Swap(0) // the end for the checked clients
	for _, p := range checked {
		p.Wait()
	}
	c.w.word(atEpoch).Store(epoch)
	c.killClients()
	return c.settled()
}

// keepers kills keepers, too.
func (c *chaos) keepers(length time.Duration) error {
	for range 8 {
		c.add()
	}
	for end := time.Now().Add(length); time.Now().Before(end) || c.figures.keeperKills < 2; {
		if err := c.killKeeper(); err != nil {
			return err
		}
		for range 3 {
			if err := c.step(); err != nil {
				return err
			}
		}
	}
	return nil
}

// step kills one thing and looks whether all is well afterwards.
func (c *chaos) step() error {
	for range 1 + c.r.IntN(3) {
		c.disturb()
	}
	// Rings go on until right before the kill, during it, and once after: the last must be seen.
	for n := range sentinels {
		c.ring(n)
	}
	if err := c.killWorker(); err != nil {
		return err
	}
	return c.wakes()
}

// disturb kills a client, or stops one for a while.
func (c *chaos) disturb() {
	for n, p := range c.clients { // any: which one is left to the map, when and what to the seed
		if c.r.IntN(6) == 0 {
			c.figures.stops++
			p.Process.Signal(syscall.SIGSTOP)
			time.AfterFunc(20*time.Millisecond, func() { p.Process.Signal(syscall.SIGCONT) })
			return
		}
		c.figures.clientKills++
		p.Process.Kill()
		p.Wait()
		delete(c.clients, n)
		c.add()
		return
	}
}

func (c *chaos) ring(n int) {
	c.w.word(atRung + n).Add(1)
	c.client.Raise(within(time.Second), watched(n), 1) // across a kill it is ambiguous: the ring after the gap is what counts
}

func (c *chaos) killWorker() error {
	s, err := c.status()
	if err != nil {
		return err
	}
	var ringing sync.WaitGroup
	ringing.Go(func() { c.ring(c.r.IntN(sentinels)) })
	from := kernel.Monotonic()
	syscall.Kill(s.PID, syscall.SIGKILL)
	for now := s; now.PID == s.PID; {
		if now, err = c.status(); err != nil {
			return err
		}
	}
	to := kernel.Monotonic()
	ringing.Wait()
	c.gaps = append(c.gaps, gap{from, to})
	c.figures.workerKills++
	c.figures.slowestGap = max(c.figures.slowestGap, time.Duration(to-from))
	return nil
}

// wakes waits until every sentinel has been woken after the last ring, whether or not that was lost with the worker.
func (c *chaos) wakes() error {
	for n := range sentinels {
		c.figures.wakes++
		end := time.Now().Add(10 * time.Second)
		for c.w.word(atSeen+n).Load() < c.w.word(atRung+n).Load() && time.Now().Before(end) {
			time.Sleep(100 * time.Microsecond)
		}
		if seen, rung := c.w.word(atSeen+n).Load(), c.w.word(atRung+n).Load(); seen < rung {
			c.figures.missedWakes++
			fmt.Fprintf(os.Stderr, "MISSED WAKE: sentinel %d saw ring %d of %d\n", n, seen, rung)
		}
	}
	return nil
}

func (c *chaos) killKeeper() error {
	s, err := c.status()
	if err != nil {
		return err
	}
	// From here on holders of the former registry hold nothing, when they have noticed or not.
	c.stop()
	for alive(s.PID) { // the worker dies with its keeper, and the lock with the worker
		time.Sleep(100 * time.Microsecond)
	}
	c.figures.keeperKills++
	if err := c.serve(); err != nil {
		return err
	}
	for n := range sentinels { // each has to have its vector again before a ring is for it
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if i, err := c.client.Lookup(within(time.Second), watched(n)); err == nil && len(i.Holders) == 1 {
				break
			}
		}
	}
	return nil
}

func (c *chaos) killClients() {
	for n, p := range c.clients {
		p.Process.Kill()
		p.Wait()
		delete(c.clients, n)
	}
}

func (c *chaos) end() {
	c.killClients()
	if c.ivtd != nil {
		c.stop()
	}
}
