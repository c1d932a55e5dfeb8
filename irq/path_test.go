package irq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ivtd/ivt/irq"
)

// A Gate is called with the registry locked. One that hangs there stops claims, but no interrupt.
func TestRaiseTakesNoLock(t *testing.T) {
	for name, c := range map[string]struct {
		group  irq.Group
		shared bool
	}{"edge": {edge(4), false}, "level": {level(4), false}, "shared edge": {edge(4), true}, "shared level": {level(4), true}} {
		t.Run(name, func(t *testing.T) {
			tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{c.group}, Wiring: quiet{}})
			d := &driver{verdict: irq.Pending}
			conn := tb.connect(as(1, d, func(q *irq.Request) { q.Shared = c.shared }), tb.v(0))
			locked, unlock := make(chan struct{}), make(chan struct{})
			claimed := make(chan error)
			go func() {
				claimed <- second(tb.try(func(q *irq.Request) { q.Gate = hanging{locked, unlock} }, tb.v(1)))
			}()
			<-locked
			tb.line(0).Raise() // would wait for ever
			tb.check(conn.Ack(1, 0, 1, true))
			tb.line(0).Raise()
			if n := len(d.taken()); n != 2 {
				t.Errorf("%d deliveries while the registry is locked", n)
			}
			close(unlock)
			tb.check(<-claimed)
		})
	}
}

type hanging struct{ locked, unlock chan struct{} }

func (g hanging) Visible(irq.Vector) bool { close(g.locked); <-g.unlock; return true }

func (hanging) Allow(irq.Vector, *irq.Request) (string, int, error) { return "", 0, nil }

func TestRaiseAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates; try: go test without -race")
	}
	tb := newTable(t, irq.SourceSpec{})
	c := tb.connect(nil, tb.v(0))
	l := tb.line(0)
	for name, raise := range map[string]func(){"delivered": l.Raise, "with details": func() { l.RaiseInterrupt(irq.Interrupt{Count: 2, Time: 7}) }} {
		if n := testing.AllocsPerRun(1000, raise); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	tb.check(c.Mask(1, tb.v(0)))
	if n := testing.AllocsPerRun(1000, l.Raise); n != 0 {
		t.Errorf("pending: %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, tb.line(1).Raise); n != 0 {
		t.Errorf("free: %v allocations", n)
	}
}

// With the system's clock, on the time of a bubble.
func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := irq.New(irq.Config{AckDeadline: 3 * time.Second})
		defer r.Close()
		s, err := r.Attach(irq.SourceSpec{Name: "soft:demo", Groups: []irq.Group{level(1)}})
		if err != nil {
			t.Fatal(err)
		}
		v := []irq.Vector{{Source: "soft:demo"}}
		start := time.Now()
		connect := func(q irq.Request) *irq.Connection {
			q.Vectors, q.Shared = v, true
			c, err := r.Connect(background, q)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		slow := connect(irq.Request{Handler: func(irq.Interrupt) irq.Verdict { return irq.Pending }})
		good := connect(irq.Request{Handler: nothing, Grace: time.Minute})
		s.Line("", 0).Raise()
		<-slow.Done()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("revoked after %v", took)
		}
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		_, err = r.Connect(ctx, irq.Request{Vectors: v, Handler: nothing, Wait: true})
		refused(t, err, irq.ErrTimeout, irq.ReasonTimeout)
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("waited until %v", took)
		}
		good.HolderDied()
		if _, err = r.Connect(background, irq.Request{Vectors: v, Handler: nothing, Wait: true}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 64*time.Second {
			t.Errorf("the grace ended after %v", took)
		}
	})
}

func TestCloseEndsEverything(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	b := newBlocking()
	busy := tb.connect(handledBy(b.handle), tb.v(0))
	orphan := tb.connect(grace(time.Hour), tb.v(1))
	orphan.HolderDied()
	revoked := tb.connect(nil, tb.v(2))
	tb.check(revoked.Revoke(background, time.Hour, "later"))
	q := newQueueing(tb)
	q.join(background, 7, nil, tb.v(0))
	go tb.line(0).Raise()
	<-b.entered
	closed := make(chan struct{})
	go func() { tb.Close(); close(closed) }()
	refused(t, q.refusal(<-q.got), irq.ErrNotConnected, irq.ReasonClosed)
	select {
	case <-closed:
		t.Error("closed while a handler runs")
	default:
	}
	close(b.goOn)
	<-closed
	for _, c := range []*irq.Connection{busy, orphan, revoked} {
		refused(t, c.Err(), irq.ErrNotConnected, irq.ReasonClosed)
	}
	refused(t, second(tb.try(nil, tb.v(3))), irq.ErrNotConnected, irq.ReasonClosed)
	refused(t, second(tb.Attach(irq.SourceSpec{Name: "soft:x", Groups: []irq.Group{edge(1)}})), irq.ErrNotConnected, irq.ReasonClosed)
	tb.line(0).Raise()
	tb.Close()
	if n := tb.clock.Pending(); n != 0 {
		t.Errorf("%d timers are left", n)
	}
}

func TestCloseFromAHandler(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	c := tb.connect(handledBy(func(irq.Interrupt) irq.Verdict { tb.Close(); return irq.Handled }), tb.v(0))
	tb.line(0).Raise()
	<-c.Done()
}
