package irq_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

func TestRule9WhatArrivesWhileNobodyHoldsWaitsForTheNext(t *testing.T) {
	for name, g := range map[string]irq.Group{"edge": edge(1), "level": level(1)} {
		for _, shared := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{g}})
				for range 3 {
					tb.line(0).Raise()
				}
				if i := tb.info(tb.v(0)); i.Arrived != 3 || i.Taken != 0 {
					t.Errorf("%+v", i)
				}
				d := &driver{}
				tb.connect(as(1, d, func(q *irq.Request) { q.Shared = shared }), tb.v(0))
				tb.Settle()
				if diff := cmp.Diff([]irq.Interrupt{{Sequence: 1, Count: 3, Rang: true}}, d.taken()); diff != "" {
					t.Error(diff)
				}
				if i := tb.info(tb.v(0)); i.Arrived != 3 || i.Taken != 3 {
					t.Errorf("%+v", i)
				}
			})
		}
	}
}

// An extra interrupt is harmless, one slept through is not: rung once, after the new wiring.
func TestRule9EveryNewHolderIsRungAfterTheNewWiring(t *testing.T) {
	w := &wire{}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	first := &driver{}
	c := tb.connect(as(1, first), tb.v(0))
	tb.Settle()
	if got := first.taken(); got != nil {
		t.Errorf("the very first holder was rung: %+v", got)
	}
	tb.disconnect(c)
	second := &driver{}
	w.hook = func(entry string) {
		if entry == "wire soft:demo/0 for pid 2" && second.taken() != nil {
			t.Error("rung before the wiring")
		}
	}
	tb.connect(as(2, second), tb.v(0))
	tb.Settle()
	if diff := cmp.Diff([]irq.Interrupt{{Sequence: 1, Rang: true}}, second.taken()); diff != "" {
		t.Error(diff)
	}
	if n := tb.Stats().Rang; n != 1 {
		t.Errorf("%d rings are counted", n)
	}
}

func TestRule9WhereTheKernelDeliversTheSourceRings(t *testing.T) {
	w := &wire{direct: true}
	tb := newTable(t, irq.SourceSpec{Wiring: w, Groups: []irq.Group{{Type: "msix", Count: 2, Delivery: irq.DeliveryEventfd}}})
	c := tb.connect(as(1, nil, grace(time.Minute)), tb.v(0))
	if diff := cmp.Diff([]string{"wire soft:demo/msix/0 for pid 1"}, w.taken()); diff != "" {
		t.Error(diff)
	}
	c.HolderDied()
	if err := c.Resume(background, process(2)); err != nil {
		t.Fatal(err)
	}
	want := []string{"unwire soft:demo/msix/0 for pid 1", "wire soft:demo/msix/0 for pid 2", "ring soft:demo/msix/0"}
	if diff := cmp.Diff(want, w.taken()); diff != "" {
		t.Error(diff)
	}
	if i := tb.info(tb.v(0)); i.Counted {
		t.Error("what the kernel delivers is shown as counted")
	}
	refused(t, c.Ack(2, 0, 1, true), irq.ErrNotSupported, "")
	tb.line(0).Raise() // such a source does not raise; if it does, nothing breaks
	tb.disconnect(c)
}

func TestRule9PendingWhileMasked(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	d := &driver{}
	c := tb.connect(as(1, d), tb.v(0))
	for range 2 {
		if err := c.Mask(1, tb.v(0)); err != nil {
			t.Fatal(err)
		}
	}
	for range 70_000 {
		tb.line(0).Raise()
	}
	tb.Settle()
	if i := tb.info(tb.v(0)); !i.Masked || i.Arrived != 70_000 || i.Taken != 0 || len(d.taken()) != 0 {
		t.Errorf("%+v", i)
	}
	if err := c.Unmask(1, tb.v(0)); err != nil {
		t.Fatal(err)
	}
	tb.Settle()
	if diff := cmp.Diff([]irq.Interrupt{{Sequence: 1, Count: 70_000}}, d.taken()); diff != "" {
		t.Error(diff)
	}
}

func TestRule9WhatTheKernelLostIsReportedWithItsSize(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	d := &driver{}
	c := tb.connect(as(1, d), tb.v(0))
	tb.line(0).RaiseInterrupt(irq.Interrupt{Count: 2, Time: 77, Lost: 5, Data: 1})
	if err := c.Mask(1, tb.v(0)); err != nil {
		t.Fatal(err)
	}
	tb.line(0).RaiseInterrupt(irq.Interrupt{Time: 80, Lost: 1, Data: 1})
	tb.line(0).RaiseInterrupt(irq.Interrupt{Time: 90, Data: 2})
	tb.line(0).Raise()
	if err := c.Unmask(1, tb.v(0)); err != nil {
		t.Fatal(err)
	}
	tb.Settle()
	want := []irq.Interrupt{{Sequence: 1, Count: 2, Time: 77, Lost: 5, Data: 1}, {Sequence: 2, Count: 3, Time: 80, Lost: 1, Data: 3}}
	if diff := cmp.Diff(want, d.taken()); diff != "" {
		t.Error(diff)
	}
	if n := tb.Stats().Lost; n != 6 {
		t.Errorf("%d lost", n)
	}
	lost := 0
	for _, k := range tb.kinds(tb.v(0)) {
		if k == irq.EventLost {
			lost++
		}
	}
	if lost != 2 {
		t.Errorf("%d events of loss", lost)
	}
}

// Whatever the order of raising, connecting, masking and handing over: every interrupt is in the count of
// exactly one delivery, the sequence has no gap, and after the last one somebody has been woken.
func TestRule9NothingIsLostQuietly(t *testing.T) {
	for name, g := range map[string]irq.Group{"edge": edge(1), "level": level(1)} {
		t.Run(name, func(t *testing.T) {
			tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{g}})
			const each, raisers = 20_000, 2
			var all sync.WaitGroup
			for range raisers {
				all.Go(func() {
					for range each {
						tb.line(0).Raise()
					}
				})
			}
			raised := make(chan struct{})
			go func() { all.Wait(); close(raised) }()
			var taken atomic.Uint64
			for over := false; !over; {
				select {
				case <-raised:
					over = true // and one more holder
				default:
				}
				var last uint64
				c := tb.connect(handledBy(func(i irq.Interrupt) irq.Verdict {
					if i.Sequence != last+1 {
						t.Errorf("sequence %d after %d", i.Sequence, last)
					}
					last = i.Sequence
					taken.Add(i.Count)
					return irq.Handled
				}), tb.v(0))
				if err := c.Mask(1, tb.v(0)); err != nil {
					t.Fatal(err)
				}
				if err := c.Unmask(1, tb.v(0)); err != nil {
					t.Fatal(err)
				}
				tb.Settle()
				tb.disconnect(c)
			}
			if i := tb.info(tb.v(0)); taken.Load() != each*raisers || i.Arrived != each*raisers || i.Taken != each*raisers {
				t.Errorf("raised %d, delivered %d, arrived %d, taken %d", each*raisers, taken.Load(), i.Arrived, i.Taken)
			}
		})
	}
}

// One interrupt at the very moment of a change, and none after it: whoever holds the vector then has it.
func TestRule9AnInterruptThatMeetsAChangeIsNotSleptThrough(t *testing.T) {
	for name, change := range map[string]func(tb *table, d *driver) func() *irq.Connection{
		"connect": func(tb *table, d *driver) func() *irq.Connection {
			return func() *irq.Connection { return tb.connect(as(1, d), tb.v(0)) }
		},
		"connect to share": func(tb *table, d *driver) func() *irq.Connection {
			return func() *irq.Connection { return tb.connect(as(1, d, sharing), tb.v(0)) }
		},
		"unmask": func(tb *table, d *driver) func() *irq.Connection {
			c := tb.connect(as(1, d), tb.v(0))
			tb.check(c.Mask(1, tb.v(0)))
			return func() *irq.Connection { tb.check(c.Unmask(1, tb.v(0))); return c }
		},
		"hand over": func(tb *table, d *driver) func() *irq.Connection {
			former := tb.connect(as(2, d), tb.v(0))
			return func() *irq.Connection { tb.disconnect(former); return tb.connect(as(1, d), tb.v(0)) }
		},
		"resume": func(tb *table, d *driver) func() *irq.Connection {
			c := tb.connect(as(1, d, grace(time.Minute)), tb.v(0))
			c.HolderDied()
			return func() *irq.Connection { tb.check(c.Resume(background, process(2))); return c }
		},
	} {
		for kind, g := range map[string]irq.Group{"edge": edge(1), "level": level(1)} {
			t.Run(name+" "+kind, func(t *testing.T) {
				tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{g}})
				for range 300 {
					d := &driver{}
					change := change(tb, d)
					var both sync.WaitGroup
					both.Go(tb.line(0).Raise)
					c := change()
					both.Wait()
					tb.Settle()
					if i := tb.info(tb.v(0)); i.Arrived != i.Taken {
						t.Fatalf("%+v was slept through", i)
					}
					tb.disconnect(c)
				}
			})
		}
	}
}
