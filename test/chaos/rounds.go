package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ivtd/ivt/internal/kernel"
)

// rotate sends the clients into the next round and has the one that is over judged.
func (c *chaos) rotate() error {
	r := c.round
	c.round++
	c.w.Word(atRound).Store(c.round)
	if err := c.left(r); err != nil {
		return err
	}
	if err := c.settled(r); err != nil {
		return err
	}
	h := &history{round: r, end: kernel.Monotonic()}
	c.mu.Lock()
	h.gaps = slices.Clone(c.gaps)
	c.gaps = c.gaps[:0] // the next round's calls began when no gap was
	c.calledBefore = int(c.w.Word(atCalls).Load())
	c.mu.Unlock()
	for v := range uint64(perRound) {
		h.add(v, step{what: wasFree}, h.end, h.end)
	}
	c.collect(h)
	c.checks.Wait() // one at a time
	c.checks.Go(func() { c.judge(h) })
	return nil
}

// left waits until no client has anything to do with a round.
func (c *chaos) left(r uint64) error {
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(time.Millisecond) {
		if err := c.replaceEnded(); err != nil {
			return err
		}
		late := slices.ContainsFunc(c.actors[:actorCount], func(a *actor) bool {
			return c.w.Word(atSlot+a.slot).Load() == r
		})
		if !late {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("clients do not leave round %d", r)
		}
	}
}

// settled waits until nobody holds a vector of a round: those who did let go, or are dead.
func (c *chaos) settled(r uint64) error {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		count := 0
		for _, err := range c.client.List(context.Background(), source(r), true) {
			if err != nil {
				return err
			}
			count++
		}
		switch {
		case count == 0:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%d vectors of round %d are held, and nobody is left who could\n%s", count, r, c.log())
		}
	}
}

// collect reads the journals up to the end of a round.
func (c *chaos) collect(h *history) {
	waiting := c.old[:0]
	for _, a := range c.old {
		if a.read(h) {
			a.drop(c.folder)
		} else {
			waiting = append(waiting, a)
		}
	}
	c.old = waiting
	for _, a := range c.actors {
		if a != nil {
			a.read(h)
		}
	}
}

// read reads a journal up to the end of a round, and reports whether that was all.
func (a *actor) read(h *history) (all bool) {
	var entries []entry
	e, ok := a.journal.read(a.next)
	for ; ok && e.round <= h.round; e, ok = a.journal.read(a.next) {
		if e.round == h.round {
			entries = append(entries, e)
		}
		a.next++
	}
	one := a.life
	one.entries = entries
	h.read(one)
	return !ok
}

func (a *actor) drop(folder string) {
	a.journal.close()
	os.Remove(journalPath(folder, a.number))
}

// judge has the model explain a round.
func (c *chaos) judge(h *history) {
	result := h.check()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.rounds++
	switch result {
	case porcupine.Ok:
		c.judged += h.calls
	case porcupine.Illegal:
		c.illegal++
	default:
		c.unjudged += h.calls
	}
}

var errViolated = errors.New("what must hold did not")
