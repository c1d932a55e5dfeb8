//go:build linux

package source

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
)

// Rule 14: over a kill of ivtd, doorbells ring and streams deliver; what was rung meanwhile is there, and the holder is rung.
func TestRule14SoftSurvivesARestart(t *testing.T) {
	leakFree(t)
	c := soft4()
	c.Keep = newMemoryKeep(t)
	b := openSource(t, c)
	one, two := b.connect(softVector(0), share), b.connect(softVector(0), share)
	bell := b.doorbell(softVector(0), raiser)
	instance := b.attached.Instance()
	for range 5 {
		ring(t, bell, 3)
		for _, g := range []*grip{one, two} {
			for got := uint64(0); got < 3; got += g.next().Count {
			}
		}
		b.restart(c, one, two)
		ring(t, bell, 4)
		for _, g := range []*grip{one, two} {
			rang := false
			for got := uint64(0); got < 4 || !rang; {
				r := g.next()
				got, rang = got+r.Count, rang || r.Flags&record.Rang != 0
			}
		}
	}
	if i := b.attached.Instance(); i != instance {
		t.Errorf("instance %s is now %s", instance, i)
	}
	one.disconnect()
	one.ended()
}

// What is rung after a source is open again, and before its vectors have their holders again, waits for them and counts.
func TestRule14WhatComesBeforeItsHolderWaits(t *testing.T) {
	leakFree(t)
	c := soft4()
	c.Keep = newMemoryKeep(t)
	b, other := openSource(t, c), openSource(t, Config{Name: "soft:other"})
	one, two := b.connect(softVector(0), share), b.connect(softVector(0), share)
	bell := b.doorbell(softVector(0), raiser)
	there := irq.Vector{Source: "soft:other"}
	last, ack := other.connect(there), other.doorbell(there, raiser)
	b.meanwhile = func() {
		ring(t, bell, 2)
		ring(t, ack, 1)
		last.next() // whatever the relay takes it has taken
	}
	for range 20 {
		b.restart(c, one, two)
		for _, g := range []*grip{one, two} {
			rang := false
			for got := uint64(0); got < 2 || !rang; {
				r := g.next()
				got, rang = got+r.Count, rang || r.Flags&record.Rang != 0
			}
		}
	}
}

// A level line's acknowledgement that was under way at the kill is taken by the successor.
func TestRule14AcknowledgementsGoOn(t *testing.T) {
	leakFree(t)
	c := soft4("trigger", "level")
	c.Keep = newMemoryKeep(t)
	b := openSource(t, c)
	g := b.connect(softVector(0), share)
	bell := b.doorbell(softVector(0), raiser)
	for range 5 {
		ring(t, bell, 1)
		r := g.next()
		b.restart(c, g)
		g.ack(r, record.Handled)
		g.ack(g.next(), record.Handled) // rung
	}
}

// What is kept but damaged, or of another sort, is closed and not believed.
func TestDamagedKeepIsNotBelieved(t *testing.T) {
	leakFree(t)
	keep := newMemoryKeep(t)
	fd, err := kernel.Eventfd()
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"bell/": "", "bell//0/0/1": "{", "bell//9/0/1": `{"vector":"soft:test/9"}`, "bell//0/0/2": `{"vector":"soft:other/0"}`,
		"stream//0/c1/1": "", "instance": "no newline", "x": "y",
	} {
		if err := keep.Put(key, []byte(value), fd); err != nil {
			t.Fatal(err)
		}
	}
	kernel.Close(fd)
	c := soft4()
	c.Keep = keep
	b := openSource(t, c)
	_, err = b.source.Adopt(irq.Claim{Vector: softVector(0), Connection: "c1", Generation: 1})
	if !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("a stream with one end: %v", err)
	}
	if _, err := b.source.Adopt(irq.Claim{Vector: softVector(1), Connection: "c1", Generation: 1}); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("nothing kept: %v", err)
	}
	ring(t, b.doorbell(softVector(0), raiser), 1)
	b.connect(softVector(0)).next()
}

// Without descriptors left, connecting fails and nothing else: who is connected goes on.
func TestDescriptorsRunOut(t *testing.T) {
	b := openSource(t, soft4())
	g := b.connect(softVector(0))
	bell := b.doorbell(softVector(0), raiser)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	free, err := kernel.Duplicate(0) // the lowest number that is free
	if err != nil {
		t.Fatal(err)
	}
	kernel.Close(free)
	few := was
	few.Cur = uint64(free)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	_, refused := b.registry.Connect(t.Context(), irq.Request{Vectors: []irq.Vector{softVector(1)}})
	_, noBell := b.source.Doorbell(softVector(1), raiser)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(refused, unix.EMFILE) || !errors.Is(noBell, unix.EMFILE) {
		t.Errorf("connect: %v, doorbell: %v", refused, noBell)
	}
	ring(t, bell, 1)
	if r := g.next(); r.Count != 1 {
		t.Errorf("got %+v", r)
	}
	b.connect(softVector(1))
}
