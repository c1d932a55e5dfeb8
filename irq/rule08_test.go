package irq_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

func TestRule8ALevelLineStaysMaskedUntilAllHaveAcknowledged(t *testing.T) {
	w := &wire{}
	tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{level(1)}, Wiring: w})
	ds := []*driver{{verdict: irq.Pending}, {verdict: irq.Pending}, {}}
	var cs []*irq.Connection
	for i, d := range ds {
		cs = append(cs, tb.connect(as(i+1, d, sharing), tb.v(0)))
	}
	w.taken()
	tb.line(0).Raise()
	tb.line(0).Raise() // while masked
	for i, d := range ds {
		if n := len(d.taken()); n != 1 {
			t.Errorf("sharer %d got %d", i, n)
		}
	}
	overdue := func() (pids []int) {
		for _, h := range tb.info(tb.v(0)).Overdue {
			pids = append(pids, h.PID)
		}
		return pids
	}
	if diff := cmp.Diff([]int{1, 2}, overdue()); diff != "" {
		t.Error("who keeps it masked:", diff)
	}
	if err := cs[0].Ack(1, 0, 1, true); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{2}, overdue()); diff != "" {
		t.Error("who keeps it masked:", diff)
	}
	if log := w.taken(); log != nil {
		t.Errorf("unmasked early: %q", log)
	}
	if err := cs[1].Ack(1, 0, 1, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"unmask soft:demo/0"}, w.taken()); diff != "" {
		t.Error(diff)
	}
	for i, d := range ds { // what was raised meanwhile fires again
		if got := d.taken(); len(got) != 1 || got[0].Count != 1 || got[0].Sequence != 2 {
			t.Errorf("sharer %d got %+v", i, got)
		}
	}
}

func TestRule8WhoIsOverdueIsNamedAndRevoked(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{level(1)}})
	good, bad := &driver{}, &driver{verdict: irq.Pending}
	var notices []irq.Notice
	tb.connect(as(1, good, sharing), tb.v(0))
	c := tb.connect(as(2, bad, sharing, func(q *irq.Request) {
		q.OnNotice = func(n irq.Notice) { notices = append(notices, n) }
	}), tb.v(0))
	tb.line(0).Raise()
	tb.advance(3 * time.Second)
	tb.line(0).Raise()
	tb.advance(7*time.Second - 1)
	if n := len(good.taken()); n != 1 {
		t.Errorf("%d deliveries before the deadline", n)
	}
	tb.advance(1)
	<-c.Done()
	refused(t, c.Err(), irq.ErrNotConnected, irq.ReasonRevoked)
	if got := good.taken(); len(got) != 1 || got[0].Count != 1 {
		t.Errorf("the other sharer got %+v after the deadline", got)
	}
	if len(notices) != 1 || notices[0].Reason != irq.ReasonRevoked || notices[0].Err == nil {
		t.Errorf("%+v", notices)
	}
	ks := tb.kinds(tb.v(0))
	if diff := cmp.Diff([]irq.EventKind{irq.EventStalled, irq.EventRevoked, irq.EventDisconnected}, ks[len(ks)-3:]); diff != "" {
		t.Error(diff)
	}
}

// Whoever keeps the line for himself mutes nobody: he is named, and keeps it.
func TestRule8AnOverdueSoleHolderIsNamedNotRevoked(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{level(1)}})
	d := &driver{verdict: irq.Pending}
	c := tb.connect(as(1, d, sharing), tb.v(0))
	tb.line(0).Raise()
	tb.advance(time.Minute)
	if i := tb.info(tb.v(0)); i.State != irq.StateConnected || tb.Stats().Overdue != 1 {
		t.Errorf("%+v, %+v", i, tb.Stats())
	}
	// With a second sharer he mutes somebody.
	tb.connect(as(2, nil, sharing), tb.v(0))
	tb.advance(10 * time.Second)
	<-c.Done()
}

// A sharer whose handler hangs is revoked like one that does not acknowledge; the others go on.
func TestRule8AHangingHandlerMutesNobodyForEver(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{level(1)}})
	good, bad := &driver{}, newBlocking()
	tb.connect(as(1, good, sharing), tb.v(0))
	c := tb.connect(as(2, nil, sharing, handledBy(bad.handle)), tb.v(0))
	tb.line(0).Raise()
	<-bad.entered
	tb.line(0).Raise()
	eventually(t, "the good sharer has had the first", func() bool { return len(tb.info(tb.v(0)).Overdue) == 1 })
	tb.clock.Advance(10 * time.Second)
	n := uint64(0)
	eventually(t, "the good sharer gets the second", func() bool {
		for _, i := range good.taken() {
			n += i.Count
		}
		return n == 2
	})
	close(bad.goOn)
	<-c.Done()
}

// An emulated line fires for as long as it is asserted, unmasked and acknowledged.
func TestRule8AnAssertedLineFiresAgain(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{level(1)}})
	n := 0
	c := tb.connect(handledBy(func(irq.Interrupt) irq.Verdict {
		if n++; n == 3 {
			tb.line(0).SetLevel(false) // the driver serves the device
		}
		return irq.Handled
	}), tb.v(0))
	tb.line(0).SetLevel(true)
	tb.Settle()
	if n != 3 {
		t.Errorf("fired %d times", n)
	}
	tb.line(0).SetLevel(true) // asserted ...
	tb.line(0).SetLevel(true) // ... is no new interrupt
	tb.line(0).SetLevel(false)
	tb.Settle()
	if i := tb.info(tb.v(0)); i.Arrived < 4 || i.Arrived != i.Taken {
		t.Errorf("%+v", i)
	}
	tb.disconnect(c)
	tb.line(0).SetLevel(true) // nobody is there
	d := &driver{verdict: irq.Pending}
	c = tb.connect(as(1, d), tb.v(0))
	tb.Settle()
	if got := d.taken(); len(got) != 1 || !got[0].Rang {
		t.Fatalf("the next holder got %+v", got)
	}
	for s := uint64(1); s < 4; s++ {
		if err := c.Ack(1, 0, s, true); err != nil {
			t.Fatal(err)
		}
		tb.Settle()
		if got := d.taken(); len(got) != 1 || got[0].Count != 1 {
			t.Fatalf("still asserted, got %+v", got)
		}
	}
}

// The line's own mask and that of rule 8 do not undo each other.
func TestRule8MaskedByTheHolderAndByDebt(t *testing.T) {
	w := &wire{}
	tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{level(1)}, Wiring: w})
	d := &driver{verdict: irq.Pending}
	c := tb.connect(as(1, d), tb.v(0))
	tb.line(0).Raise()
	d.taken()
	if err := c.Mask(1, tb.v(0)); err != nil {
		t.Fatal(err)
	}
	tb.line(0).Raise()
	w.taken()
	if err := c.Ack(1, 0, 1, true); err != nil {
		t.Fatal(err)
	}
	tb.Settle()
	if log, got := w.taken(), d.taken(); log != nil || got != nil {
		t.Errorf("masked by its holder, but acknowledging made %q and %+v", log, got)
	}
	if err := c.Unmask(1, tb.v(0)); err != nil {
		t.Fatal(err)
	}
	tb.Settle()
	if log, got := w.taken(), d.taken(); len(log) != 1 || len(got) != 1 {
		t.Errorf("after unmasking %q and %+v", log, got)
	}
}

func TestRule8ASharedLevelLineIsNotMaskedByOne(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{level(1)}})
	c := tb.connect(sharing, tb.v(0))
	refused(t, c.Mask(1, tb.v(0)), irq.ErrNotSupported, irq.ReasonNotMaskable)
}
