package irq_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

func TestRule12ASourceDoesNotLeaveUnderItsUsers(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	a, b := tb.connect(as(1, nil), tb.v(0), tb.v(3)), tb.connect(as(2, nil), tb.v(1))
	e := refused(t, tb.demo.Detach(background, false), irq.ErrStillConnected, irq.ReasonHeld)
	if diff := cmp.Diff(map[irq.Vector][]int{tb.v(0): {1}, tb.v(1): {2}, tb.v(3): {1}}, pids(e.Conflicts)); diff != "" {
		t.Error(diff)
	}
	tb.disconnect(a)
	tb.disconnect(b)
	if err := tb.demo.Detach(background, false); err != nil {
		t.Fatal(err)
	}
	if tb.Source("soft:demo") != nil {
		t.Error("still there")
	}
	refused(t, second(tb.try(nil, tb.v(0))), irq.ErrNoSuchDevice, irq.ReasonNoSuchSource)
	if err := tb.demo.Detach(background, false); err != nil {
		t.Error("a second detach:", err)
	}
}

func TestRule12ForcedEveryHolderIsToldAndReleased(t *testing.T) {
	w := &wire{}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	other := tb.attach(irq.SourceSpec{Name: "soft:other", Groups: []irq.Group{edge(1)}})
	told := make(chan irq.Notice, 10)
	notice := func(q *irq.Request) { q.OnNotice = func(n irq.Notice) { told <- n } }
	d := &driver{}
	cs := []*irq.Connection{
		tb.connect(as(1, d, notice), tb.v(0)), tb.connect(as(2, d, notice, sharing), tb.v(1)), tb.connect(as(3, d, notice, sharing), tb.v(1)),
		tb.connect(as(4, d, notice), tb.v(2), irq.Vector{Source: "soft:other"}), // leaves both
		tb.connect(as(5, d, notice, grace(time.Minute)), tb.v(3)),
	}
	cs[4].HolderDied()
	q := newQueueing(tb)
	q.join(background, 9, nil, tb.v(0))
	q.join(background, 10, func(r *irq.Request) { r.Vectors, r.Any = nil, &irq.Any{Source: "soft:demo", Count: 16} })
	w.taken()
	if err := tb.demo.Detach(background, true); err != nil {
		t.Fatal(err)
	}
	for _, c := range cs {
		<-c.Done()
		refused(t, c.Err(), irq.ErrNotConnected, irq.ReasonSourceGone)
		n := <-told
		if n.Err == nil || n.Reason != irq.ReasonSourceGone || !n.Deadline.IsZero() {
			t.Errorf("%+v", n)
		}
	}
	if n := len(w.taken()); n != 4 {
		t.Errorf("%d vectors were unwired", n)
	}
	for range 2 {
		refused(t, q.refusal(<-q.got), irq.ErrNotConnected, irq.ReasonSourceGone)
	}
	tb.line(0).Raise() // its lines stay valid, and do nothing
	if got := d.taken(); got != nil {
		t.Error(got)
	}
	tb.connect(nil, irq.Vector{Source: "soft:other"})
	if other.Name() != "soft:other" || tb.Stats().Sources != 1 {
		t.Error(tb.Stats())
	}
	if s := tb.attach(tb.spec); s.Instance() == tb.demo.Instance() {
		t.Error("a new device is mistaken for the old one of that name")
	}
}

func TestRule12ForcedDetachWaitsForHandlersAndNewClaimsAreRefusedMeanwhile(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	b := newBlocking()
	c := tb.connect(handledBy(b.handle), tb.v(0))
	go tb.line(0).Raise()
	<-b.entered
	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	defer cancel()
	refused(t, tb.demo.Detach(ctx, true), irq.ErrTimeout, irq.ReasonTimeout)
	refused(t, second(tb.try(nil, tb.v(1))), irq.ErrNotConnected, irq.ReasonSourceGone)
	refused(t, second(tb.Attach(tb.spec)), irq.ErrStillConnected, irq.ReasonDraining)
	close(b.goOn)
	<-c.Done()
	if err := tb.demo.Detach(background, true); err != nil {
		t.Fatal(err)
	}
	tb.attach(tb.spec)
}

// The device is pulled while a claim on it is being wired: nobody ends up connected to what is gone.
func TestRule12DetachDuringTheWiring(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	w := &wire{hook: func(entry string) {
		if entry == "wire soft:demo/0 for pid 1" {
			close(inside)
			<-goOn
		}
	}}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	failed := make(chan error)
	go func() { failed <- second(tb.try(as(1, nil), tb.v(0))) }()
	<-inside
	gone := make(chan error)
	go func() { gone <- tb.demo.Detach(background, true) }()
	eventually(t, "the source is leaving", func() bool { return errors.Is(second(tb.Attach(tb.spec)), irq.ErrStillConnected) })
	close(goOn)
	refused(t, <-failed, irq.ErrNotConnected, irq.ReasonSourceGone)
	if err := <-gone; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"wire soft:demo/0 for pid 1", "unwire soft:demo/0 for pid 1"}, w.taken()); diff != "" {
		t.Error(diff)
	}
}

func TestRule12DetachFromAHandler(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	c := tb.connect(handledBy(func(irq.Interrupt) irq.Verdict {
		if err := tb.demo.Detach(background, true); err != nil {
			t.Error(err)
		}
		return irq.Handled
	}), tb.v(0))
	tb.line(0).Raise()
	<-c.Done()
	eventually(t, "the source is gone", func() bool { return tb.Source("soft:demo") == nil })
}

// A vector that cannot be taken from its former holder is not given to the next.
func TestRule12AVectorThatCannotBeUnwiredIsUnavailable(t *testing.T) {
	w := &wire{fail: map[string]error{"unwire soft:demo/0 for pid 1": &irq.Error{Code: irq.ErrBusy, Reason: irq.ReasonForeignHolds, Detail: "pid 77 keeps a copy",
		Conflicts: []irq.Conflict{{Holders: []irq.Holder{process(77)}}}}}}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	tb.disconnect(tb.connect(as(1, nil), tb.v(0)))
	i := tb.info(tb.v(0))
	if i.State != irq.StateUnavailable || i.Reason != irq.ReasonForeignHolds || len(i.Holders) != 1 {
		t.Errorf("%+v", i)
	}
	e := refused(t, second(tb.try(nil, tb.v(0))), irq.ErrBusy, irq.ReasonForeignHolds)
	if e.Conflicts[0].Holders[0].PID != 77 || e.Conflicts[0].Vector != tb.v(0) || e.Operation != "connect" {
		t.Errorf("%+v", e)
	}
	tb.demo.SetUnavailable(tb.v(0), nil)
	tb.connect(as(2, nil), tb.v(0))
}

func TestRule12RevocationWithAGraceIsToldFirst(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	var told []irq.Notice
	c := tb.connect(func(q *irq.Request) { q.OnNotice = func(n irq.Notice) { told = append(told, n) } }, tb.v(0))
	if err := c.Revoke(background, time.Minute, "maintenance"); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || !told[0].Deadline.Equal(tb.clock.Now().Add(time.Minute)) || told[0].Err != nil || told[0].Reason != irq.ReasonRevoked {
		t.Fatalf("%+v", told)
	}
	tb.raise(0, 1) // it works on until then
	tb.advance(time.Minute - 1)
	if c.Err() != nil {
		t.Error(c.Err())
	}
	tb.advance(1)
	<-c.Done()
	if e := refused(t, c.Err(), irq.ErrNotConnected, irq.ReasonRevoked); e.Detail != "maintenance" || len(told) != 2 || told[1].Err == nil {
		t.Errorf("%+v, %+v", e, told)
	}
}
