package irq_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
)

// blocking is a driver whose handler waits until it is let go.
type blocking struct {
	entered chan struct{}
	goOn    chan struct{}
	inside  atomic.Int32
}

func newBlocking() *blocking {
	return &blocking{entered: make(chan struct{}, 100), goOn: make(chan struct{})}
}

func (b *blocking) handle(irq.Interrupt) irq.Verdict {
	b.inside.Add(1)
	defer b.inside.Add(-1)
	b.entered <- struct{}{}
	<-b.goOn
	return irq.Handled
}

func handledBy(h irq.Handler) func(*irq.Request) { return func(q *irq.Request) { q.Handler = h } }

func TestRule5DisconnectWaitsForTheHandlerThatRuns(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	b := newBlocking()
	c := tb.connect(handledBy(b.handle), tb.v(0))
	raised := make(chan struct{})
	go func() { tb.line(0).Raise(); close(raised) }()
	<-b.entered
	tb.line(0).Raise() // pending: must not be delivered after the disconnect

	done := make(chan error)
	go func() { done <- c.Disconnect(background) }()
	eventually(t, "the vector drains", func() bool { return tb.info(tb.v(0)).State == irq.StateDraining })
	select {
	case <-done:
		t.Fatal("Disconnect returned while the handler ran")
	default:
	}
	_, err := tb.try(nil, tb.v(0))
	if e := refused(t, err, irq.ErrStillConnected, irq.ReasonDraining); len(e.Conflicts[0].Holders) != 1 {
		t.Error("the draining vector does not name its former holder")
	}
	tb.connect(nil, tb.v(1)) // nobody else waits meanwhile
	close(b.goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if b.inside.Load() != 0 || len(b.entered) != 0 {
		t.Error("the handler runs after Disconnect has returned")
	}
	<-raised
	for range 10 {
		tb.line(0).Raise()
	}
	if len(b.entered) != 0 {
		t.Error("the handler was called after Disconnect had returned")
	}
}

func TestRule5DisconnectFromItsOwnHandlerReturnsAndTakesEffectAfterwards(t *testing.T) {
	for name, spec := range map[string]irq.SourceSpec{"in process": {}, "wired": {Wiring: &wire{}}} {
		t.Run(name, func(t *testing.T) {
			tb := newTable(t, spec)
			var c *irq.Connection
			calls, state := 0, irq.State("")
			c = tb.connect(handledBy(func(irq.Interrupt) irq.Verdict {
				calls++
				if err := c.Disconnect(background); err != nil {
					t.Error(err)
				}
				state = tb.info(tb.v(0)).State
				select {
				case <-c.Done():
					t.Error("the connection is over while its handler runs")
				default:
				}
				return irq.Handled
			}), tb.v(0))
			tb.line(0).Raise()
			<-c.Done()
			tb.line(0).Raise()
			if calls != 1 || state != irq.StateDraining {
				t.Errorf("%d calls, the vector was %s meanwhile", calls, state)
			}
			tb.connect(nil, tb.v(0))
		})
	}
}

func TestRule5DisconnectFromAGoroutineOfTheHandlerWaits(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	var c *irq.Connection
	over := make(chan error)
	returned := false
	c = tb.connect(handledBy(func(irq.Interrupt) irq.Verdict {
		started := make(chan struct{})
		go func() {
			close(started)
			err := c.Disconnect(background)
			if !returned {
				t.Error("Disconnect returned before the handler")
			}
			over <- err
		}()
		<-started
		eventually(t, "the vector drains", func() bool { return tb.info(tb.v(0)).State == irq.StateDraining })
		returned = true
		return irq.Handled
	}), tb.v(0))
	tb.line(0).Raise()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

func TestRule5OfTwoDisconnectsTheSecondIsRefused(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	for range 200 {
		c := tb.connect(nil, tb.v(0))
		var won atomic.Int32
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if err := c.Disconnect(background); err == nil {
					won.Add(1)
				} else {
					refused(t, err, irq.ErrNotConnected, irq.ReasonClosed)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of two disconnects succeeded", won.Load())
		}
	}
}

func TestRule5TheVerdictDoneEndsTheConnection(t *testing.T) {
	for name, g := range map[string]irq.Group{"edge": edge(1), "level": level(1)} {
		for _, shared := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{g}})
				d := &driver{verdict: irq.Done}
				c := tb.connect(as(1, d, func(q *irq.Request) { q.Shared = shared }), tb.v(0))
				tb.line(0).Raise()
				<-c.Done()
				tb.line(0).Raise()
				if n := len(d.taken()); n != 1 {
					t.Errorf("%d deliveries", n)
				}
				refused(t, c.Err(), irq.ErrNotConnected, irq.ReasonClosed)
			})
		}
	}
}

func TestRule5TheContextBoundsOnlyTheWaiting(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	b := newBlocking()
	c := tb.connect(handledBy(b.handle), tb.v(0))
	go tb.line(0).Raise()
	<-b.entered
	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	defer cancel()
	err := c.Disconnect(ctx)
	refused(t, err, irq.ErrTimeout, irq.ReasonTimeout)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(b.goOn)
	<-c.Done()
	tb.connect(nil, tb.v(0))
}

// Handlers that end each other's connections must not wait for each other.
func TestRule5HandlersThatDisconnectEachOtherDoNotLockUp(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	var cs [2]*irq.Connection
	var met sync.WaitGroup
	met.Add(2)
	for i := range cs {
		cs[i] = tb.connect(handledBy(func(irq.Interrupt) irq.Verdict {
			met.Done()
			met.Wait() // both run
			if err := cs[1-i].Disconnect(background); err != nil {
				t.Error(err)
			}
			return irq.Handled
		}), tb.v(i))
	}
	for i := range cs {
		go tb.line(i).Raise()
	}
	<-cs[0].Done()
	<-cs[1].Done()
}

// A storm of raises from two sides while the connection comes and goes: when Disconnect has returned, no
// handler of it runs or will.
func TestRule5HoldsDuringRaises(t *testing.T) {
	for name, g := range map[string]irq.Group{"edge": edge(1), "level": level(1)} {
		for _, shared := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{g}})
				stop := make(chan struct{})
				var raisers sync.WaitGroup
				for range 2 {
					raisers.Go(func() {
						for {
							select {
							case <-stop:
								return
							default:
								tb.line(0).Raise()
							}
						}
					})
				}
				for range 100 {
					var inside atomic.Int32
					var ended atomic.Bool
					c := tb.connect(func(q *irq.Request) {
						q.Shared = shared
						q.Handler = func(irq.Interrupt) irq.Verdict {
							if inside.Add(1) != 1 {
								t.Error("the handler runs twice at the same time")
							}
							if ended.Load() {
								t.Error("the handler runs after Disconnect has returned")
							}
							inside.Add(-1)
							return irq.Handled
						}
					}, tb.v(0))
					tb.disconnect(c)
					ended.Store(true)
					if inside.Load() != 0 {
						t.Fatal("the handler runs after Disconnect has returned")
					}
				}
				close(stop)
				raisers.Wait()
			})
		}
	}
}

// Several vectors: the connection is over when the last handler has returned.
func TestRule5AllVectorsDrain(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	b := newBlocking()
	c := tb.connect(handledBy(b.handle), tb.v(0), tb.v(1), tb.v(2))
	for i := range 3 {
		go tb.line(i).Raise()
		<-b.entered
	}
	done := make(chan error)
	go func() { done <- c.Disconnect(background) }()
	for range 2 {
		b.goOn <- struct{}{}
	}
	select {
	case <-done:
		t.Fatal("Disconnect returned with a handler still running")
	case b.goOn <- struct{}{}:
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
