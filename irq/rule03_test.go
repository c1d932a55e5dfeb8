package irq_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

// A gate hides and denies by index.
type gate struct {
	hidden, denied map[int]bool
	quota          int
	asked          []string
}

func (g *gate) Visible(v irq.Vector) bool {
	g.asked = append(g.asked, fmt.Sprint("visible ", v.Index))
	return !g.hidden[v.Index]
}

func (g *gate) Allow(v irq.Vector, q *irq.Request) (string, int, error) {
	g.asked = append(g.asked, fmt.Sprint("allow ", v.Index))
	if g.denied[v.Index] {
		return "", 0, &irq.Error{Code: irq.ErrAccessDenied, Reason: irq.ReasonDenied, Rule: &irq.Rule{Text: "deny", File: "ivtd.toml", Line: 7}}
	}
	return fmt.Sprint("pid ", q.Holder.PID), g.quota, nil
}

func gated(g *gate) func(*irq.Request) { return func(q *irq.Request) { q.Gate = g } }

func TestRule3VisibilityThenPolicyThenConflict(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	tb.connect(nil, tb.v(0), tb.v(1), tb.v(2))
	g := &gate{hidden: map[int]bool{0: true}, denied: map[int]bool{0: true, 1: true}}

	_, err := tb.try(gated(g), tb.v(2), tb.v(1), tb.v(0))
	refused(t, err, irq.ErrNoSuchDevice, irq.ReasonNoSuchSource)
	if diff := cmp.Diff([]string{"visible 2", "visible 1", "visible 0"}, g.asked); diff != "" {
		t.Error("a hidden vector is not decided first:", diff)
	}
	_, err = tb.try(gated(g), tb.v(2), tb.v(1))
	if e := refused(t, err, irq.ErrAccessDenied, irq.ReasonDenied); e.Vector != tb.v(1) || e.Rule.Line != 7 || e.Operation != "connect" || e.Conflicts != nil {
		t.Errorf("%+v", e)
	}
	_, err = tb.try(gated(g), tb.v(2))
	refused(t, err, irq.ErrAlreadyConnected, irq.ReasonHeld)
}

func TestRule3WhatIsHiddenAnswersExactlyLikeWhatIsMissing(t *testing.T) {
	hidden := irq.Vector{Source: "soft:demo", Index: 3}
	answer := func(exists bool, v irq.Vector, q func(*irq.Request)) string {
		tb := newTable(t, irq.SourceSpec{Name: "soft:other"})
		if exists {
			s := tb.attach(irq.SourceSpec{Name: "soft:demo", Groups: []irq.Group{{Count: 8}}, OneType: true})
			c, err := tb.Connect(background, irq.Request{Vectors: []irq.Vector{{Source: "soft:demo", Index: 3}}, Handler: (&driver{}).handle})
			if err != nil {
				t.Fatal(c, err)
			}
			s.SetUnavailable(irq.Vector{Source: "soft:demo", Index: 4}, &irq.Error{Code: irq.ErrBusy})
		}
		all := &gate{hidden: map[int]bool{0: true, 3: true, 4: true, 99: true}}
		_, err := tb.try(func(r *irq.Request) { r.Gate = all; q(r) }, v)
		e := refused(t, err, irq.ErrNoSuchDevice, irq.ReasonNoSuchSource)
		b, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n" + e.Error() + "\n" + e.Explain()
	}
	for name, q := range map[string]func(*irq.Request){
		"alone": func(*irq.Request) {}, "shared": sharing, "level": func(q *irq.Request) { q.Trigger = irq.TriggerLevel },
		"waiting": waiting, "dry": func(q *irq.Request) { q.DryRun = true },
		"any": func(q *irq.Request) { q.Vectors, q.Any = nil, &irq.Any{Source: "soft:demo", Count: 1} },
	} {
		for _, index := range []int{3, 4, 99} {
			v := hidden
			v.Index = index
			if diff := cmp.Diff(answer(false, v, q), answer(true, v, q)); diff != "" {
				t.Errorf("%s, index %d: the answer betrays a hidden vector:\n%s", name, index, diff)
			}
		}
	}
}

func TestRule3AllOrNone(t *testing.T) {
	w := &wire{fail: map[string]error{"wire soft:demo/2 for pid 1001": syscall.ENOSPC}}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	_, err := tb.try(as(1001, nil), tb.v(0), tb.v(1), tb.v(2), tb.v(3))
	e := refused(t, err, irq.ErrNoResources, "")
	if !errors.Is(err, syscall.ENOSPC) || e.Vector != tb.v(2) {
		t.Error(e)
	}
	want := []string{
		"wire soft:demo/0 for pid 1001", "wire soft:demo/1 for pid 1001", "wire soft:demo/2 for pid 1001",
		"unwire soft:demo/1 for pid 1001", "unwire soft:demo/0 for pid 1001",
	}
	if diff := cmp.Diff(want, w.taken()); diff != "" {
		t.Error("armed one at a time, undone in reverse:", diff)
	}
	for i := range 4 {
		if s := tb.info(tb.v(i)).State; s != irq.StateFree {
			t.Errorf("vector %d is %s after a failed claim", i, s)
		}
	}
	tb.connect(as(1002, nil), tb.v(0), tb.v(1), tb.v(2), tb.v(3))
}

func TestRule3AVectorBeingWiredIsTakenAlready(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	w := &wire{hook: func(entry string) {
		if entry == "wire soft:demo/0 for pid 1001" {
			close(inside)
			<-goOn
		}
	}}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	done := make(chan *irq.Connection)
	go func() { done <- tb.connect(as(1001, nil), tb.v(0)) }()
	<-inside
	if s := tb.info(tb.v(0)).State; s != irq.StateConnected {
		t.Error("a connecting vector shows as", s)
	}
	_, err := tb.try(as(1002, nil), tb.v(0))
	if e := refused(t, err, irq.ErrAlreadyConnected, irq.ReasonHeld); e.Conflicts[0].Holders[0].PID != 1001 {
		t.Error(e)
	}
	tb.connect(as(1002, nil), tb.v(1)) // nobody waits for the wiring of another vector
	close(goOn)
	tb.disconnect(<-done)
}

func TestRule3QuotaCountsAtOnce(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	g := &gate{quota: 3}
	a := tb.connect(as(7, nil, gated(g)), tb.v(0), tb.v(1))
	_, err := tb.try(as(7, nil, gated(g)), tb.v(2), tb.v(3))
	if e := refused(t, err, irq.ErrNoResources, irq.ReasonQuota); e.Requested != 2 || e.Free != 1 {
		t.Errorf("%+v", e)
	}
	b := tb.connect(as(7, nil, gated(g)), tb.v(2))
	_, err = tb.try(as(7, nil, gated(g), func(q *irq.Request) { q.Vectors, q.Any = nil, &irq.Any{Source: "soft:demo", Count: 1} }))
	refused(t, err, irq.ErrNoResources, irq.ReasonQuota)
	tb.connect(as(8, nil, gated(g)), tb.v(4)) // another account
	tb.disconnect(a)
	tb.disconnect(b)
	tb.connect(as(7, nil, gated(g)), tb.v(0), tb.v(1), tb.v(2))
}

func TestRule3ADryRunChangesNothing(t *testing.T) {
	w := &wire{}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	dry := func(q *irq.Request) { q.DryRun, q.Wait = true, true }
	before := tb.Stats()
	if c, err := tb.try(dry, tb.v(0), tb.v(1)); c != nil || err != nil {
		t.Error(c, err)
	}
	tb.connect(nil, tb.v(1))
	before.Connections, before.Sequence, before.Serial = 1, before.Sequence+1, before.Serial+1
	w.taken()
	_, err := tb.try(dry, tb.v(0), tb.v(1))
	refused(t, err, irq.ErrAlreadyConnected, irq.ReasonHeld)
	if diff := cmp.Diff(before, tb.Stats()); diff != "" {
		t.Error(diff)
	}
	if log := w.taken(); log != nil {
		t.Errorf("a dry run was wired: %q", log)
	}
}

func TestRule3PolicyIsAskedAgainWhenAWaiterIsGranted(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	holder := tb.connect(nil, tb.v(0))
	g := &gate{denied: map[int]bool{}}
	queued := make(chan uint64, 1)
	got := make(chan error)
	go func() {
		_, err := tb.try(as(7, nil, gated(g), waiting, func(q *irq.Request) { q.OnWait = func(turn uint64) { queued <- turn } }), tb.v(0))
		got <- err
	}()
	<-queued
	g.denied[0] = true // under no lock but the registry's: the waiter sleeps
	tb.disconnect(holder)
	refused(t, <-got, irq.ErrAccessDenied, irq.ReasonDenied)
	if s := tb.info(tb.v(0)).State; s != irq.StateFree {
		t.Error(s)
	}
}
