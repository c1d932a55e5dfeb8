package irq_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

// restart returns a table like the one before, that has adopted all its connections from their records.
func restart(t *testing.T, before *table, w *wire, handlers map[string]irq.Handler) *table {
	t.Helper()
	var recs []irq.Record
	for c := range before.Connections() {
		recs = append(recs, c.Record())
	}
	kept, err := json.Marshal(recs)
	if err != nil {
		t.Fatal(err)
	}
	s := before.Stats()
	after := &table{t: t, clock: before.clock, spec: before.spec}
	after.spec.Wiring = w
	after.spec.Instance = before.demo.Instance()
	after.Registry = irq.New(irq.Config{Clock: before.clock, Instance: before.Instance(), Sequence: s.Sequence, Serial: s.Serial, Turn: s.Turn})
	t.Cleanup(after.Close)
	after.demo = after.attach(after.spec)
	for i := range before.List("", irq.Vector{}) {
		if i.Arrived > 0 || len(i.Holders) > 0 {
			after.demo.Restore(i)
		}
	}
	if err := json.Unmarshal(kept, &recs); err != nil {
		t.Fatal(err)
	}
	for _, rec := range recs {
		_, err := after.Adopt(irq.AdoptSpec{Record: rec, Wire: func(c irq.Claim) (irq.Handler, error) { return handlers[c.Connection], nil }})
		if err != nil {
			t.Fatal(err)
		}
	}
	return after
}

func TestRule14RestartingReleasesNobody(t *testing.T) {
	w := &wire{}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	a, b, o := &driver{}, &driver{}, &driver{}
	ca := tb.connect(as(1, a), tb.v(0), tb.v(5))
	tb.connect(as(2, b, sharing, grace(time.Minute)), tb.v(1))
	tb.connect(as(3, b, sharing), tb.v(1))
	co := tb.connect(as(4, o, grace(time.Minute)), tb.v(2))
	tb.raise(0, 3)
	if err := ca.Mask(1, tb.v(5)); err != nil {
		t.Fatal(err)
	}
	tb.raise(5, 2)
	co.HolderDied()
	tb.raise(2, 4)
	tb.advance(20 * time.Second)
	var infos []irq.Info
	for i := range tb.List("soft:demo", irq.Vector{}) {
		infos = append(infos, i)
	}
	a.taken()

	again := &wire{}
	after := restart(t, tb, again, map[string]irq.Handler{"c1": a.handle, "c2": b.handle, "c3": b.handle})
	for n, want := range infos { // nothing has changed, but that the holders have been rung and given what was pending
		got := after.info(want.Vector)
		if want.State == irq.StateConnected && !want.Masked {
			want.Taken = want.Arrived
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("vector %d: %s", n, diff)
		}
	}
	if log := again.taken(); log != nil {
		t.Errorf("adoption wired anew: %q", log)
	}
	if diff := cmp.Diff([]irq.Interrupt{{Sequence: 4, Rang: true}}, a.taken()); diff != "" {
		t.Error("rung, and the sequence goes on:", diff)
	}
	refused(t, second(after.try(nil, tb.v(0))), irq.ErrAlreadyConnected, irq.ReasonHeld)
	refused(t, second(after.try(nil, tb.v(2))), irq.ErrAlreadyConnected, irq.ReasonOrphaned)
	after.raise(0, 1)
	if got := a.taken(); len(got) != 1 || got[0].Sequence != 5 {
		t.Error(got)
	}
	c, err := after.Connection("c1")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Unmask(1, tb.v(5)); err != nil {
		t.Fatal(err)
	}
	after.Settle()
	if got := a.taken(); len(got) != 1 || got[0].Count != 2 || !got[0].Rang || got[0].Slot != 1 {
		t.Error("what was pending under the mask:", got)
	}
	orphan, err := after.Connection("c4")
	if err != nil {
		t.Fatal(err)
	}
	after.clock.Advance(39 * time.Second)
	if err := orphan.Resume(background, process(44)); err != nil {
		t.Fatal(err)
	}
	if fresh := after.connect(as(9, nil), tb.v(9)); fresh.ID() != "c5" {
		t.Error("an id is given twice:", fresh.ID())
	}
	// The second grace ends as if nothing had happened.
	after.clock.Advance(time.Hour)
	if orphan.Err() != nil || orphan.Generation() != 2 {
		t.Error(orphan.Err())
	}
}

func TestRule14WhatCannotBeAdoptedChangesNothing(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	tb.connect(as(1, nil), tb.v(0))
	h := (&driver{}).handle
	rec := func(id string, vs ...irq.Vector) irq.AdoptSpec {
		spec := irq.AdoptSpec{Record: irq.Record{Connection: id, Generation: 3, Holder: process(7)}, Handler: h}
		for _, v := range vs {
			spec.Vectors = append(spec.Vectors, irq.VectorRecord{Vector: v})
		}
		return spec
	}
	refused(t, second(tb.Adopt(rec("c7", tb.v(1), tb.v(0)))), irq.ErrAlreadyConnected, irq.ReasonHeld)
	refused(t, second(tb.Adopt(rec("c1", tb.v(1)))), irq.ErrAlreadyConnected, irq.ReasonHeld)
	refused(t, second(tb.Adopt(rec("c7"))), irq.ErrInvalidParameter, irq.ReasonMalformed)
	refused(t, second(tb.Adopt(rec("c7", tb.v(99)))), irq.ErrInvalidParameter, irq.ReasonOutOfRange)
	refused(t, second(tb.Adopt(rec("c7", irq.Vector{Source: "soft:none"}))), irq.ErrNoSuchDevice, irq.ReasonNoSuchSource)
	failing := rec("c7", tb.v(1), tb.v(2))
	failing.Wire = func(c irq.Claim) (irq.Handler, error) {
		if c.Vector.Index == 2 {
			return nil, irq.ErrNoResources
		}
		return h, nil
	}
	if _, err := tb.Adopt(failing); !errors.Is(err, irq.ErrNoResources) {
		t.Error(err)
	}
	for i := 1; i < 3; i++ {
		if s := tb.info(tb.v(i)).State; s != irq.StateFree {
			t.Errorf("vector %d is %s", i, s)
		}
	}
	c, err := tb.Adopt(rec("c7", tb.v(1)))
	if err != nil || c.Generation() != 3 || c.Holder().PID != 7 {
		t.Error(c, err)
	}
}

// A budget that shrank in the meantime takes nothing away.
func TestRule14ASmallerBudgetReleasesNobody(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	tb.connect(nil, tb.v(0), tb.v(1), tb.v(2))
	tb.spec.Budget = 1
	after := restart(t, tb, &wire{}, map[string]irq.Handler{"c1": (&driver{}).handle})
	refused(t, second(after.try(nil, tb.v(3))), irq.ErrNoResources, irq.ReasonNotEnoughVectors)
}

// With nothing but the record: it is rung all the same, and its id is not given again.
func TestRule14ARecordIsEnough(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	d := &driver{}
	rec := irq.Record{Connection: "c41", Generation: 2, Holder: process(7), Vectors: []irq.VectorRecord{{Vector: tb.v(1), Sequence: 9}}}
	c, err := tb.Adopt(irq.AdoptSpec{Record: rec, Handler: d.handle})
	if err != nil {
		t.Fatal(err)
	}
	tb.Settle()
	if diff := cmp.Diff([]irq.Interrupt{{Sequence: 10, Rang: true}}, d.taken()); diff != "" {
		t.Error(diff)
	}
	if fresh := tb.connect(nil, tb.v(2)); fresh.ID() != "c42" {
		t.Error(fresh.ID())
	}
	back := c.Record()
	rec.Access, rec.Vectors[0].Sequence = irq.AccessIRQ, 10
	if diff := cmp.Diff(rec, back); diff != "" {
		t.Error(diff)
	}
}

// In three steps: what the first has reserved is taken before it is wired, and nobody is rung before the third.
func TestRule14InThreeSteps(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	d := &driver{}
	spec := func(id string, index int) irq.AdoptSpec {
		return irq.AdoptSpec{Record: irq.Record{Connection: id, Holder: process(7), Vectors: []irq.VectorRecord{{Vector: tb.v(index)}}}, Handler: d.handle}
	}
	takeOver, err := tb.Readmit(spec("c9", 1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tb.Readmit(spec("c8", 1))
	refused(t, err, irq.ErrAlreadyConnected, irq.ReasonHeld)
	refused(t, second(tb.try(nil, tb.v(1))), irq.ErrAlreadyConnected, irq.ReasonHeld)
	c, err := takeOver()
	if err != nil {
		t.Fatal(err)
	}
	tb.Settle()
	if got := d.taken(); len(got) != 0 {
		t.Error("rung before the time:", got)
	}
	c.Ring()
	tb.Settle()
	if diff := cmp.Diff([]irq.Interrupt{{Sequence: 1, Rang: true}}, d.taken()); diff != "" {
		t.Error(diff)
	}
	tb.disconnect(c)
	c.Ring() // nobody is there to be woken
	tb.Settle()
	if got := d.taken(); len(got) != 0 {
		t.Error("rung after the end:", got)
	}
}
