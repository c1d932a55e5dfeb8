package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// soaking has clients come and go for a while, and compares what ivtd uses before and after, both times with nobody there.
// Its worker is not killed in between: a new one would have nothing to leak.
func (c *chaos) soaking() error {
	if err := c.crowdFor(10 * time.Second); err != nil { // pools and buffers are grown, threads are there
		return err
	}
	goroutines, err := c.goroutines() // costs the worker its life, so it is done first
	if err != nil {
		return err
	}
	if err := c.crowdFor(10 * time.Second); err != nil {
		return err
	}
	before := c.calm()
	fmt.Printf("at the start: goroutines %d, %v\n", goroutines, before)
	if err := c.crowdFor(c.soak); err != nil {
		return err
	}
	after := c.calm()
	left, err := c.goroutines()
	if err != nil {
		return err
	}
	fmt.Printf("after %v:  goroutines %d, %v; calls %d, clients killed %d\n", c.soak, left, after, c.w.Word(atCalls).Load(), c.clientKills)
	var grown []error
	for _, g := range []struct {
		what               string
		before, after, may int
	}{
		{"goroutines", goroutines, left, 8},
		{"descriptors of the keeper", before.keeperFiles, after.keeperFiles, 8},
		{"descriptors of the worker", before.workerFiles, after.workerFiles, 8},
		{"threads", before.threads, after.threads, 8},
		{"memory in KB", before.kilobytes, after.kilobytes, before.kilobytes/2 + 8192},
	} {
		if g.after > g.before+g.may {
			grown = append(grown, fmt.Errorf("%s: from %d to %d", g.what, g.before, g.after))
		}
	}
	return errors.Join(grown...)
}

// calm measures when nothing changes any more: the keeper hears of ends a little later than those who ended.
func (c *chaos) calm() measure {
	now := c.measure()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		time.Sleep(200 * time.Millisecond)
		former := now
		if now = c.measure(); now.keeperFiles == former.keeperFiles && now.workerFiles == former.workerFiles {
			break
		}
	}
	return now
}

// crowdFor has clients come, go and be killed for so long, and returns when they are gone and nothing is held.
func (c *chaos) crowdFor(d time.Duration) error {
	for slot := range actorCount {
		if err := c.add(slot); err != nil {
			return err
		}
	}
	for begun := time.Now(); time.Since(begun) < d; {
		if err := c.await(200 + c.r.IntN(400)); err != nil {
			return err
		}
		if err := c.killClient(); err != nil {
			return err
		}
		for _, a := range c.old { // nobody reads their journals
			a.drop(c.folder)
		}
		c.old = nil
	}
	for _, a := range c.actors[:actorCount] {
		a.kill()
		a.drop(c.folder)
	}
	clear(c.actors[:])
	return c.settled(c.round)
}

// goroutines counts those of the worker, by the trace that the Go runtime writes on SIGQUIT. The next worker follows.
func (c *chaos) goroutines() (int, error) {
	s, err := c.status()
	if err != nil {
		return 0, err
	}
	if err := syscall.Kill(s.PID, syscall.SIGQUIT); err != nil {
		return 0, err
	}
	if err := c.replaced(s.PID); err != nil {
		return 0, err
	}
	b, err := os.ReadFile(c.folder + "/log")
	if err != nil {
		return 0, err
	}
	_, trace, found := strings.Cut(string(b), "SIGQUIT: quit")
	for rest := ""; found; trace = rest {
		if _, rest, found = strings.Cut(trace, "SIGQUIT: quit"); !found {
			break
		}
	}
	return strings.Count(trace, "\ngoroutine "), nil
}
