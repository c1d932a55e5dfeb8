package irq_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

func TestRule6ADeadHolderHoldsNothing(t *testing.T) {
	w := &wire{}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	c := tb.connect(as(1001, nil), tb.v(0), tb.v(1))
	w.taken()
	c.HolderDied()
	<-c.Done()
	refused(t, c.Err(), irq.ErrNotConnected, irq.ReasonClosed)
	if diff := cmp.Diff([]string{"unwire soft:demo/1 for pid 1001", "unwire soft:demo/0 for pid 1001"}, w.taken()); diff != "" {
		t.Error(diff)
	}
	tb.connect(as(1002, nil), tb.v(0), tb.v(1))
	c.HolderDied() // told twice: harmless
}

func TestRule6WithAGraceItsVectorsAreKeptForItsReturn(t *testing.T) {
	w := &wire{}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	d := &driver{}
	c := tb.connect(as(1001, d, grace(time.Minute)), tb.v(0))
	tb.line(0).Raise()
	c.HolderDied()
	c.HolderDied() // by pidfd and by lifeline
	if i := tb.info(tb.v(0)); i.State != irq.StateOrphaned || i.Holders[0].Left != time.Minute || tb.Stats().Orphans != 1 {
		t.Errorf("%+v", i)
	}
	tb.line(0).Raise() // nobody is there: pending
	tb.advance(20 * time.Second)
	_, err := tb.try(as(1002, nil), tb.v(0))
	if e := refused(t, err, irq.ErrAlreadyConnected, irq.ReasonOrphaned); e.Conflicts[0].Holders[0].Left != 40*time.Second {
		t.Error("the time left is not told:", e)
	}
	if n := len(d.taken()); n != 1 {
		t.Errorf("an orphan was delivered to, %d times in all", n)
	}
	w.taken()

	if err := c.Resume(background, process(1003)); err != nil {
		t.Fatal(err)
	}
	tb.Settle()
	if got := d.taken(); len(got) != 1 || !got[0].Rang || got[0].Count != 1 || got[0].Sequence != 2 {
		t.Errorf("after resuming: %+v", got)
	}
	if diff := cmp.Diff([]string{"wire soft:demo/0 for pid 1003"}, w.taken()); diff != "" {
		t.Error(diff)
	}
	if c.Generation() != 2 || c.Holder().PID != 1003 || tb.Stats().Orphans != 0 {
		t.Error(c.Generation(), c.Holder(), tb.Stats())
	}
	tb.advance(time.Hour)
	if s := tb.info(tb.v(0)).State; s != irq.StateConnected {
		t.Error("the grace ended a resumed connection:", s)
	}
	c.HolderDiedGeneration(1) // a late word of the first holder's death
	if s := tb.info(tb.v(0)).State; s != irq.StateConnected {
		t.Error("the death of an old generation ended the new one:", s)
	}
}

// The restarted driver may be back before the last handler of the former has returned.
func TestRule6ResumeWaitsForTheFormerHolder(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	b := newBlocking()
	c := tb.connect(func(q *irq.Request) { q.Handler, q.Grace = b.handle, time.Minute }, tb.v(1))
	go tb.line(1).Raise()
	<-b.entered
	c.HolderDied()
	if s := tb.info(tb.v(1)).State; s != irq.StateDraining {
		t.Error(s)
	}
	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	defer cancel()
	refused(t, c.Resume(ctx, process(2)), irq.ErrTimeout, irq.ReasonTimeout)
	resumed := make(chan error)
	go func() { resumed <- c.Resume(background, process(2)) }()
	close(b.goOn)
	if err := <-resumed; err != nil || c.Generation() != 2 {
		t.Error(err, c.Generation())
	}
}

func TestRule6AfterTheGraceTheVectorsAreFree(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	c := tb.connect(grace(time.Minute), tb.v(0))
	c.HolderDied()
	tb.advance(time.Minute - 1)
	if s := tb.info(tb.v(0)).State; s != irq.StateOrphaned {
		t.Error(s)
	}
	tb.advance(1)
	<-c.Done()
	refused(t, c.Resume(background, process(2)), irq.ErrNotConnected, irq.ReasonClosed)
	tb.connect(nil, tb.v(0))
	if n := tb.Stats().Orphans; n != 0 {
		t.Errorf("%d orphans", n)
	}
}

func TestRule6AnOrphanCanBeTakenAwayAndOnlyAnOrphanResumed(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	c := tb.connect(grace(time.Minute), tb.v(0))
	refused(t, c.Resume(background, process(2)), irq.ErrAlreadyConnected, irq.ReasonHeld)
	c.HolderDied()
	if err := c.Revoke(background, time.Hour, "needed"); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	refused(t, c.Err(), irq.ErrNotConnected, irq.ReasonRevoked)
	d := tb.connect(grace(time.Minute), tb.v(0))
	d.HolderDied()
	tb.disconnect(d)
	if n := tb.Stats().Orphans; n != 0 {
		t.Errorf("%d orphans", n)
	}
}

func TestRule6AFailedResumeLeavesAnOrphan(t *testing.T) {
	w := &wire{fail: map[string]error{"wire soft:demo/1 for pid 2": irq.ErrNoResources}}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	c := tb.connect(as(1, nil, grace(time.Minute)), tb.v(0), tb.v(1))
	c.HolderDied()
	tb.advance(50 * time.Second)
	w.taken()
	if err := c.Resume(background, process(2)); err == nil {
		t.Fatal("resumed without being wired")
	}
	if diff := cmp.Diff([]string{"wire soft:demo/0 for pid 2", "wire soft:demo/1 for pid 2", "unwire soft:demo/0 for pid 2"}, w.taken()); diff != "" {
		t.Error(diff)
	}
	if s := tb.info(tb.v(0)).State; s != irq.StateOrphaned {
		t.Error(s)
	}
	if err := c.Resume(background, process(3)); err != nil {
		t.Fatal(err)
	}
	c.HolderDied()
	if err := c.Resume(background, process(2)); err == nil {
		t.Fatal("resumed without being wired")
	}
	tb.advance(time.Minute)
	<-c.Done()
	tb.connect(nil, tb.v(0), tb.v(1))
}

// What a dead sharer left unacknowledged is settled: the line goes on for the others.
func TestRule6TheDebtsOfTheDeadAreSettled(t *testing.T) {
	for name, ending := range map[string]func(*irq.Connection){
		"dies":        (*irq.Connection).HolderDied,
		"disconnects": func(c *irq.Connection) { _ = c.Disconnect(background) },
		"is revoked":  func(c *irq.Connection) { _ = c.Revoke(background, 0, "") },
		"is orphaned": nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{}
			tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{level(1)}, Wiring: w})
			alive, dead := &driver{}, &driver{verdict: irq.Pending}
			tb.connect(as(1, alive, sharing), tb.v(0))
			with := as(2, dead, sharing)
			if ending == nil {
				with = as(2, dead, sharing, grace(time.Minute))
				ending = (*irq.Connection).HolderDied
			}
			c := tb.connect(with, tb.v(0))
			tb.line(0).Raise()
			tb.line(0).Raise()
			tb.Settle()
			if n := len(alive.taken()); n != 1 || len(dead.taken()) != 1 {
				t.Fatalf("%d deliveries while one sharer owes", n)
			}
			w.taken()
			ending(c)
			tb.Settle()
			if got := alive.taken(); len(got) != 1 || got[0].Count != 1 {
				t.Errorf("after the debtor's end: %+v", got)
			}
			if log := w.taken(); len(log) < 1 || log[0] != "unmask soft:demo/0" {
				t.Errorf("the line was not unmasked first: %q", log)
			}
		})
	}
}
