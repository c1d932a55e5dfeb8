package irqtest

import (
	"context"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
)

// A Bench is a registry for one test, with one source.
type Bench struct {
	*irq.Registry
	Clock  *Clock
	Source *irq.Source

	tb    testing.TB
	wires wires
}

// New returns a bench whose source has these vectors; without any, 16 of them named soft:test/0 to /15,
// edge-triggered, shareable and maskable. It is closed when the test ends.
func New(tb testing.TB, groups ...irq.Group) *Bench {
	tb.Helper()
	if groups == nil {
		groups = []irq.Group{{Count: 16, Shareable: true, Maskable: true}}
	}
	b := &Bench{Clock: NewClock(time.Time{}), tb: tb}
	b.Registry = irq.New(irq.Config{Clock: b.Clock})
	tb.Cleanup(b.Close)
	var err error
	b.Source, err = b.Attach(irq.SourceSpec{Name: "soft:test", Groups: groups, Wiring: &b.wires, Protection: "agreement"})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Vector returns the name of vector index of the first group.
func (b *Bench) Vector(index int) irq.Vector {
	for i := range b.List("soft:test", irq.Vector{}) {
		if i.Vector.Index == index {
			return i.Vector
		}
	}
	b.tb.Helper()
	b.tb.Fatalf("irqtest: there is no vector %d", index)
	return irq.Vector{}
}

// Advance moves the clock on, and returns when all that followed has been delivered.
func (b *Bench) Advance(d time.Duration) {
	b.Settle()
	b.Clock.Advance(d)
	b.Settle()
}

// Raise raises v n times and returns when all has been delivered that will be.
func (b *Bench) Raise(v irq.Vector, n int) {
	b.tb.Helper()
	l := b.line(v)
	for range n {
		l.Raise()
	}
	b.Settle()
}

func (b *Bench) line(v irq.Vector) *irq.Line {
	b.tb.Helper()
	l := b.Source.Line(v.Type, v.Index)
	if l == nil || l.Vector() != v {
		b.tb.Fatalf("irqtest: the bench has no vector %v", v)
	}
	return l
}

// RefuseNext has the next Connect fail with that code, after everything else would have granted it.
// With holders the refusal says that they have the vector.
func (b *Bench) RefuseNext(code irq.Code, holders ...irq.Holder) {
	b.wires.refuse(code, holders)
}

// Storm raises v until the registry suppresses it (rule 11), and reports whether that came about: it
// does if the driver's handler says that it is not its interrupt.
func (b *Bench) Storm(v irq.Vector) bool {
	b.tb.Helper()
	l := b.line(v)
	for range 1000 {
		for range 200 {
			l.Raise()
		}
		b.Settle()
		if i, err := b.Lookup(v); err == nil && i.Storm {
			return true
		}
	}
	return false
}

// Connected returns the connection that has v, the oldest of several.
func (b *Bench) Connected(v irq.Vector) *irq.Connection {
	b.tb.Helper()
	i, err := b.Lookup(v)
	if err != nil || len(i.Holders) == 0 {
		b.tb.Fatalf("irqtest: nobody has %v", v)
	}
	c, err := b.Connection(i.Holders[0].Connection)
	if err != nil {
		b.tb.Fatal(err)
	}
	return c
}

// Revoke takes v from its holder after grace.
func (b *Bench) Revoke(v irq.Vector, grace time.Duration) {
	b.tb.Helper()
	if err := b.Connected(v).Revoke(context.Background(), grace, "the test revokes it"); err != nil {
		b.tb.Fatal(err)
	}
	b.Settle()
}

// Unplug takes the device away from under its holders (rule 12).
func (b *Bench) Unplug() {
	b.tb.Helper()
	if err := b.Source.Detach(context.Background(), true); err != nil {
		b.tb.Fatal(err)
	}
	b.Settle()
}

// Die ends the process that has v. If it connected with a grace, the vector is orphaned, else it is free (rule 6).
func (b *Bench) Die(v irq.Vector) {
	b.tb.Helper()
	b.Connected(v).HolderDied()
	b.Settle()
}

// Restart ends the process that has v and starts it again: the connection, which needs a grace, is
// resumed as a new generation under another pid, and rung.
func (b *Bench) Restart(v irq.Vector) {
	b.tb.Helper()
	c := b.Connected(v)
	b.Die(v)
	h := c.Holder()
	h.PID, h.StartTime = h.PID+1, h.StartTime+1
	if err := c.Resume(context.Background(), h); err != nil {
		b.tb.Fatalf("irqtest: restart: %v (was it connected with a grace?)", err)
	}
	b.Settle()
}
