package irq_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

// A moody is a driver that only answers and counts, for floods.
type moody struct {
	verdict irq.Verdict
	n       int
}

func (m *moody) handle(irq.Interrupt) irq.Verdict { m.n++; return m.verdict }

func (m *moody) connects(q *irq.Request) { q.Handler = m.handle }

func (tb *table) raise(index, n int) {
	for range n {
		tb.line(index).Raise()
	}
	tb.Settle()
}

func TestRule11AStormIsSuppressedAndNamesItsOwner(t *testing.T) {
	for name, g := range map[string]irq.Group{"edge": edge(1), "level": level(1)} {
		t.Run(name, func(t *testing.T) {
			w := &wire{}
			tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{g}, Wiring: w})
			d := &moody{verdict: irq.Unhandled}
			tb.connect(as(666, nil, d.connects), tb.v(0))
			tb.raise(0, 99_999)
			if i := tb.info(tb.v(0)); i.Storm || i.Unhandled != 99_999 {
				t.Errorf("after 99,999: %+v", i)
			}
			w.taken()
			tb.raise(0, 1)
			if i := tb.info(tb.v(0)); !i.Storm || !i.Masked || tb.Stats().Storms != 1 {
				t.Errorf("after 100,000: %+v", i)
			}
			if log := w.taken(); len(log) == 0 || log[0] != "mask soft:demo/0" {
				t.Errorf("the hardware is not masked: %q", log)
			}
			var last irq.Event
			for last = range tb.History(tb.v(0)) {
			}
			if last.Kind != irq.EventStorm || last.Holder.PID != 666 {
				t.Errorf("%+v", last)
			}
			tb.raise(0, 500)
			if d.n != 100_000 {
				t.Errorf("delivered %d times while suppressed", d.n-100_000)
			}
			tb.advance(50 * time.Millisecond)
			if i := tb.info(tb.v(0)); d.n != 100_001 || i.Taken != 100_500 || i.Storm {
				t.Errorf("on retry %d deliveries, %+v", d.n-100_000, i)
			}
		})
	}
}

func TestRule11ThePauseDoublesUpToLimitAndDecaysWhenProductive(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	d := &moody{verdict: irq.Unhandled}
	tb.connect(d.connects, tb.v(0))
	pause := func() (p time.Duration) {
		t.Helper()
		tb.raise(0, 100_100)
		for ; tb.info(tb.v(0)).Storm; p += 50 * time.Millisecond {
			tb.advance(50 * time.Millisecond)
		}
		return p
	}
	for n := range 10 {
		if want, got := 50*time.Millisecond<<min(n, 8), pause(); got != want {
			t.Errorf("pause %d is %v, not %v", n, got, want)
		}
	}
	d.verdict = irq.Handled
	tb.raise(0, 3)
	d.verdict = irq.Unhandled
	if got := pause(); got != 50*time.Millisecond<<5 {
		t.Errorf("after three productive ones the pause is %v", got)
	}
	d.verdict = irq.Handled
	tb.raise(0, 20)
	d.verdict = irq.Unhandled
	if got := pause(); got != 50*time.Millisecond {
		t.Errorf("after many productive ones the pause is %v", got)
	}
}

func TestRule11AProductiveFloodIsNobodysFault(t *testing.T) {
	for name, c := range map[string]struct {
		productive int // of each thousand
		storm      bool
	}{"all": {1000, false}, "one in ten": {100, false}, "two in a thousand": {2, false}, "one in a thousand": {1, true}, "none": {0, true}} {
		t.Run(name, func(t *testing.T) {
			tb := newTable(t, irq.SourceSpec{})
			n := 0
			tb.connect(handledBy(func(irq.Interrupt) irq.Verdict {
				if n++; n%1000 < c.productive {
					return irq.Handled
				}
				return irq.Unhandled
			}), tb.v(0))
			tb.raise(0, 101_000)
			if got := tb.Stats().Storms > 0; got != c.storm {
				t.Errorf("storm: %v", got)
			}
		})
	}
}

// On a shared line an interrupt is productive if anybody's device raised it.
func TestRule11ASharerIsNotBlamedForTheOthersInterrupts(t *testing.T) {
	for name, g := range map[string]irq.Group{"edge": edge(1), "level": level(1)} {
		t.Run(name, func(t *testing.T) {
			tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{g}, Wiring: quiet{}})
			idle, busy := &moody{verdict: irq.Unhandled}, &moody{}
			for _, d := range []*moody{idle, busy, {verdict: irq.Unhandled}} {
				tb.connect(as(1, nil, sharing, d.connects), tb.v(0))
			}
			tb.raise(0, 101_000)
			if i := tb.info(tb.v(0)); i.Storm || tb.Stats().Storms != 0 || idle.n != 101_000 {
				t.Fatalf("%+v", i)
			}
			busy.verdict = irq.Unhandled // now it is nobody's
			tb.raise(0, 100_100)
			if n := tb.Stats().Storms; n != 3 {
				t.Errorf("%d of three are suppressed", n)
			}
		})
	}
}

// quiet is a Wiring that does nothing, and passes the request's handler on.
type quiet struct{}

func (quiet) Wire(_ context.Context, c irq.Claim) (irq.Handler, error) { return c.Handler, nil }
func (quiet) Unwire(irq.Claim) error                                   { return nil }
func (quiet) SetMask(irq.Vector, bool) error                           { return nil }
func (quiet) Ring(irq.Vector) error                                    { return nil }

// Acknowledged later, by Ack, counts the same.
func TestRule11LateVerdictsCount(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	d := &moody{verdict: irq.Pending}
	c := tb.connect(d.connects, tb.v(0))
	for i := uint64(1); i <= 100_000; i++ {
		tb.line(0).Raise()
		if err := c.Ack(1, 0, i, false); err != nil {
			t.Fatal(err)
		}
	}
	if !tb.info(tb.v(0)).Storm {
		t.Error("no storm")
	}
	tb.disconnect(c)
	if n := tb.clock.Pending(); n != 0 {
		t.Errorf("%d timers are left of a connection that ended", n)
	}
}

// Acknowledging one interrupt many times is acknowledging it once.
func TestRule11ARepeatedAcknowledgementCountsOnce(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	d := &moody{verdict: irq.Pending}
	c := tb.connect(d.connects, tb.v(0))
	tb.raise(0, 1)
	for range 1000 {
		tb.check(c.Ack(1, 0, 1, false))
	}
	if i := tb.info(tb.v(0)); i.Unhandled != 1 {
		t.Errorf("counted %d times", i.Unhandled)
	}
}

// A trickle of strays over days is no storm.
func TestRule11ATrickleIsNoStorm(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	d := &moody{verdict: irq.Unhandled}
	tb.connect(d.connects, tb.v(0))
	for range 101 {
		tb.raise(0, 1000)
		tb.advance(3 * time.Minute)
	}
	if n := tb.Stats().Storms; n != 0 {
		t.Errorf("%d storms", n)
	}
	if diff := cmp.Diff(uint64(101_000), tb.info(tb.v(0)).Unhandled); diff != "" {
		t.Error(diff)
	}
}
