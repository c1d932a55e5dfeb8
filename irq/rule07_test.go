package irq_test

import (
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
)

// Who holds an older generation is refused, whatever he asks for, and touches nothing.
func TestRule7AStaleGenerationTouchesNothing(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{level(2)}})
	d := &driver{verdict: irq.Pending}
	c := tb.connect(as(1, d, grace(time.Minute)), tb.v(0))
	tb.line(0).Raise()
	old := c.Generation()
	c.HolderDied()
	refused(t, c.Ack(old, 0, 1, true), irq.ErrNotConnected, irq.ReasonOrphaned)
	refused(t, c.Mask(old, tb.v(0)), irq.ErrNotConnected, irq.ReasonOrphaned)
	if err := c.Resume(background, process(2)); err != nil {
		t.Fatal(err)
	}
	tb.Settle()
	got := d.taken()
	before := tb.info(tb.v(0))
	for name, err := range map[string]error{
		"ack":        c.Ack(old, 0, got[len(got)-1].Sequence, true),
		"mask":       c.Mask(old, tb.v(0)),
		"unmask":     c.Unmask(old, tb.v(0)),
		"successor":  c.SetSuccessor(old, 7),
		"disconnect": c.DisconnectGeneration(background, old),
	} {
		t.Run(name, func(t *testing.T) { refused(t, err, irq.ErrNotConnected, irq.ReasonStaleGeneration) })
	}
	after := tb.info(tb.v(0))
	if len(after.Overdue) != 1 || after.Masked || after.State != irq.StateConnected || after.Arrived != before.Arrived {
		t.Errorf("a stale generation changed\n%+v to\n%+v", before, after)
	}
	if err := c.Ack(c.Generation(), 0, got[len(got)-1].Sequence, true); err != nil {
		t.Fatal(err)
	}
	if n := len(tb.info(tb.v(0)).Overdue); n != 0 {
		t.Errorf("%d overdue after the acknowledgement", n)
	}
}

func TestRule7OnlyTheLastDeliveryIsAcknowledgedAndOnlyOnce(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{level(1)}})
	d := &driver{verdict: irq.Pending}
	c := tb.connect(as(1, d), tb.v(0))
	ack := func(sequence uint64) {
		t.Helper()
		if err := c.Ack(1, 0, sequence, true); err != nil {
			t.Error(err)
		}
	}
	tb.line(0).Raise()
	ack(1)
	tb.line(0).Raise() // 2
	ack(1)             // repeated
	tb.line(0).Raise() // pending
	tb.Settle()
	if got := d.taken(); len(got) != 2 {
		t.Fatalf("a repeated acknowledgement let one through: %+v", got)
	}
	refused(t, c.Ack(1, 0, 3, true), irq.ErrInvalidParameter, irq.ReasonOutOfRange)
	refused(t, c.Ack(1, 1, 2, true), irq.ErrInvalidParameter, irq.ReasonOutOfRange)
	refused(t, c.Ack(1, -1, 2, true), irq.ErrInvalidParameter, irq.ReasonOutOfRange)
	ack(2)
	tb.Settle()
	if got := d.taken(); len(got) != 1 || got[0].Sequence != 3 {
		t.Fatalf("%+v", got)
	}
}

// Identity, not knowledge: what an id finds can be disconnected by whoever has the Connection, which is
// why the daemon asks who is calling. Here: ids are never used twice.
func TestRule7AnIdIsNeverUsedTwice(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	seen := map[string]bool{}
	for range 100 {
		c := tb.connect(nil, tb.v(0))
		if seen[c.ID()] {
			t.Fatal("used twice:", c.ID())
		}
		seen[c.ID()] = true
		if found, err := tb.Connection(c.ID()); err != nil || found != c {
			t.Error(found, err)
		}
		tb.disconnect(c)
		refused(t, second(tb.Connection(c.ID())), irq.ErrNotConnected, irq.ReasonClosed)
	}
}
