package irq_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

// A mask ends with the holder who set it: the next finds the vector open, in hardware too.
func TestAMaskIsNotLeftBehind(t *testing.T) {
	w := &wire{}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	c := tb.connect(as(1, nil), tb.v(0))
	tb.check(c.Mask(1, tb.v(0)))
	tb.disconnect(c)
	want := []string{"wire soft:demo/0 for pid 1", "mask soft:demo/0", "unwire soft:demo/0 for pid 1", "unmask soft:demo/0"}
	if diff := cmp.Diff(want, w.taken()); diff != "" {
		t.Error(diff)
	}
	d := &driver{}
	c = tb.connect(as(2, d, grace(time.Minute)), tb.v(0))
	tb.check(c.Mask(1, tb.v(0)))
	c.HolderDied()
	tb.check(c.Resume(background, process(3)))
	d.taken()
	tb.raise(0, 1)
	if len(d.taken()) != 1 || tb.info(tb.v(0)).Masked {
		t.Error("a restarted driver finds its vector masked")
	}
}

func TestAMaskThatFailsChangesNothing(t *testing.T) {
	w := &wire{fail: map[string]error{"mask soft:demo/0": irq.ErrNotSupported}}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	d := &driver{}
	c := tb.connect(as(1, d), tb.v(0))
	if err := c.Mask(1, tb.v(0)); !errors.Is(err, irq.ErrNotSupported) {
		t.Error(err)
	}
	tb.raise(0, 1)
	if tb.info(tb.v(0)).Masked || len(d.taken()) != 1 {
		t.Error("masked all the same")
	}
	refused(t, c.Mask(1, tb.v(1)), irq.ErrInvalidParameter, irq.ReasonOutOfRange)
}

func TestASharerMasksItsOwnCopy(t *testing.T) {
	w := &wire{}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	a, b := &driver{}, &driver{}
	c := tb.connect(as(1, a, sharing), tb.v(0))
	tb.connect(as(2, b, sharing), tb.v(0))
	w.taken()
	tb.check(c.Mask(1, tb.v(0)))
	tb.raise(0, 3)
	if len(a.taken()) != 0 || len(b.taken()) != 3 || w.taken() != nil {
		t.Error("one sharer's mask reached the other, or the hardware")
	}
	tb.check(c.Unmask(1, tb.v(0)))
	tb.Settle()
	if got := a.taken(); len(got) != 1 || got[0].Count != 3 {
		t.Errorf("%+v", got)
	}
}
