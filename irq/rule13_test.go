package irq_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

func TestRule13WhoHeldItWhenAndEveryRefusal(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	start := tb.clock.Now()
	a := tb.connect(as(1, nil), tb.v(0))
	tb.advance(time.Second)
	_, _ = tb.try(as(2, nil), tb.v(0), tb.v(1))
	tb.advance(time.Second)
	tb.disconnect(a)
	tb.advance(time.Second)
	tb.connect(as(3, nil), tb.v(0))
	type line struct {
		at   time.Duration
		kind irq.EventKind
		pid  int
	}
	var got []line
	for e := range tb.History(tb.v(0)) {
		got = append(got, line{e.Time.Sub(start), e.Kind, e.Holder.PID})
		if e.Kind == irq.EventRefused && (e.Refused.Code != irq.ErrAlreadyConnected || e.Refused.Conflicts[0].Holders[0].PID != 1) {
			t.Errorf("%+v", e.Refused)
		}
	}
	want := []line{{0, irq.EventConnected, 1}, {time.Second, irq.EventRefused, 2}, {2 * time.Second, irq.EventDisconnected, 1}, {3 * time.Second, irq.EventConnected, 3}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
		t.Error(diff)
	}
}

// A client that is refused in a loop does not push out what happened to others: neither with the same
// request nor with ever different ones.
func TestRule13AFloodOfRefusalsDoesNotWipeOutHistory(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	tb.connect(as(1, nil), tb.v(0))
	_, _ = tb.try(as(2, nil), tb.v(0))
	for range 30_000 {
		_, _ = tb.try(as(666, nil), tb.v(0))
	}
	for i := range 20_000 {
		_, _ = tb.try(as(667, nil), tb.v(16+i)) // there is none such
	}
	n := map[int]int{}
	var loop irq.Event
	for e := range tb.History(irq.Vector{}) {
		if e.Holder != nil {
			n[e.Holder.PID]++
		}
		if e.Holder != nil && e.Holder.PID == 666 {
			loop = e
		}
	}
	if n[1] != 1 || n[2] != 1 || n[666] != 1 || n[667] == 0 || n[667] > 256 {
		t.Errorf("events by pid: %v", n)
	}
	if loop.Repeats != 29_999 || loop.Until.IsZero() {
		t.Errorf("the loop is counted as %d", loop.Repeats)
	}
	if s := tb.Stats(); s.Refusals[irq.ErrAlreadyConnected] != 30_001 || s.Refusals[irq.ErrInvalidParameter] != 20_000 {
		t.Error(s.Refusals)
	}
}

func TestRule13TheSameRefusalAfterAMinuteIsTold(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	tb.connect(as(1, nil), tb.v(0))
	for range 3 {
		_, _ = tb.try(as(2, nil), tb.v(0))
		_, _ = tb.try(as(2, nil), tb.v(0))
		tb.advance(time.Minute)
	}
	var repeats []uint64
	for e := range tb.History(tb.v(0)) {
		if e.Kind == irq.EventRefused {
			repeats = append(repeats, e.Repeats)
		}
	}
	if diff := cmp.Diff([]uint64{1, 1, 1}, repeats); diff != "" {
		t.Error(diff)
	}
}

func TestRule13ASlowReaderIsToldWhatItMissed(t *testing.T) {
	r := irq.New(irq.Config{EventRing: 16})
	defer r.Close()
	w, idle := r.Watch(0), r.Watch(0)
	for i := range 100 {
		r.Emit(irq.Event{Kind: irq.EventChanged, Source: "soft:demo", Detail: string(rune('a' + i%26))})
	}
	var seen, missed uint64
	for seen+missed < 100 {
		e, lost, err := w.Next(background)
		if err != nil {
			t.Fatal(err)
		}
		seen, missed = seen+1, missed+lost
		if e.Sequence != seen+missed {
			t.Fatalf("event %d after %d seen and %d missed", e.Sequence, seen, missed)
		}
	}
	if seen != 8 || missed != 92 {
		t.Errorf("saw %d, missed %d", seen, missed)
	}
	if _, lost, err := idle.Next(background); lost != 92 || err != nil {
		t.Error(lost, err)
	}
	e, lost, err := r.Watch(97).Next(background)
	if e.Sequence != 98 || lost != 0 || err != nil {
		t.Error(e, lost, err)
	}
}

func TestRule13NextWaitsUntilThereIsSomething(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	w := tb.Watch(0)
	ctx, cancel := context.WithCancel(background)
	got := make(chan irq.Event)
	go func() {
		e, _, err := w.Next(background)
		if err != nil {
			t.Error(err)
		}
		got <- e
		_, _, err = w.Next(ctx)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		_, _, err = w.Next(background)
		refused(t, err, irq.ErrNotConnected, irq.ReasonClosed)
		close(got)
	}()
	tb.connect(as(5, nil), tb.v(0))
	if e := <-got; e.Kind != irq.EventConnected || e.Holder.PID != 5 {
		t.Error(e)
	}
	cancel()
	w.Close()
	<-got
}

func TestRule13SequencesGoOnAfterARestart(t *testing.T) {
	a := newTable(t, irq.SourceSpec{})
	a.connect(nil, a.v(0))
	s := a.Stats()
	b := irq.New(irq.Config{Instance: a.Instance(), Sequence: s.Sequence, Serial: s.Serial})
	defer b.Close()
	b.Emit(irq.Event{Kind: irq.EventChanged, Detail: "adopted"})
	for e := range b.History(irq.Vector{}) {
		if e.Sequence != s.Sequence+1 || b.Instance() != a.Instance() {
			t.Error(e)
		}
	}
}

// A watcher that collects gets the first event at once, those that follow together after its pause, and none is lost.
func TestRule13AWatcherMayCollect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := irq.New(irq.Config{})
		w := r.Watch(0)
		defer w.Close()
		w.Pace(time.Second)
		var got []time.Duration
		start := time.Now()
		go func() {
			for range 3 {
				r.Emit(irq.Event{Kind: irq.EventChanged})
				time.Sleep(400 * time.Millisecond)
			}
			time.Sleep(10 * time.Second)
			r.Emit(irq.Event{Kind: irq.EventChanged})
		}()
		for range 4 {
			if _, lost, err := w.Next(t.Context()); lost > 0 || err != nil {
				t.Fatal(lost, err)
			}
			got = append(got, time.Since(start))
		}
		want := []time.Duration{0, time.Second, time.Second, 11200 * time.Millisecond}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
