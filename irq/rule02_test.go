package irq_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

func TestRule2SharingNeedsTheConsentOfAll(t *testing.T) {
	consent := func(shared bool) func(*irq.Request) { return func(q *irq.Request) { q.Shared = shared } }
	for _, c := range []struct {
		name         string
		there, comes bool
		code         irq.Code
		reason       irq.Reason
	}{
		{"both consent", true, true, 0, ""},
		{"only the newcomer", false, true, irq.ErrAlreadyConnected, irq.ReasonSharerRefuses},
		{"only the holder", true, false, irq.ErrAlreadyConnected, irq.ReasonSharerRefuses},
		{"neither", false, false, irq.ErrAlreadyConnected, irq.ReasonHeld},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb := newTable(t, irq.SourceSpec{})
			tb.connect(consent(c.there), tb.v(0))
			if _, err := tb.try(consent(c.comes), tb.v(0)); c.code != 0 {
				refused(t, err, c.code, c.reason)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRule2OnlyWhereACopyForEachIsPossible(t *testing.T) {
	for _, kind := range []string{"msi", "msix", ""} {
		tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{{Type: kind, Count: 4}}})
		_, err := tb.try(sharing, tb.v(0))
		refused(t, err, irq.ErrNotSupported, irq.ReasonNotShareable)
		tb.connect(nil, tb.v(0))
		_, err = tb.try(sharing, tb.v(0))
		refused(t, err, irq.ErrNotSupported, irq.ReasonNotShareable)
	}
}

func TestRule2TriggersMustMatch(t *testing.T) {
	trigger := func(tr irq.Trigger) func(*irq.Request) {
		return func(q *irq.Request) { q.Shared, q.Trigger = true, tr }
	}
	for _, g := range []irq.Group{edge(1), level(1)} {
		has, other := irq.TriggerEdge, irq.TriggerLevel
		if g.Trigger == irq.TriggerLevel {
			has, other = other, has
		}
		tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{g}})
		for _, accepted := range []irq.Trigger{has, irq.TriggerDefault} {
			tb.connect(trigger(accepted), tb.v(0))
		}
		_, err := tb.try(trigger(other), tb.v(0))
		refused(t, err, irq.ErrInvalidParameter, irq.ReasonTriggerDiffers)
		if n := len(tb.info(tb.v(0)).Holders); n != 2 {
			t.Errorf("%d holders after a refused sharer", n)
		}
	}
}

func TestRule2EachSharerHasItsOwnCopyAndSequence(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	first, second := &driver{}, &driver{}
	tb.connect(as(1001, first, sharing), tb.v(0))
	for range 3 {
		tb.line(0).Raise()
		tb.Settle()
	}
	c := tb.connect(as(1002, second, sharing), tb.v(0))
	tb.Settle()
	second.taken() // it may be rung
	for range 2 {
		tb.line(0).Raise()
		tb.Settle()
	}
	var got []uint64
	for _, i := range first.taken() {
		got = append(got, i.Sequence, i.Count)
	}
	if diff := cmp.Diff([]uint64{1, 1, 2, 1, 3, 1, 4, 1, 5, 1}, got); diff != "" {
		t.Error("first sharer:", diff)
	}
	if got := second.taken(); len(got) != 2 || got[0].Sequence+1 != got[1].Sequence {
		t.Errorf("second sharer: %+v", got)
	}
	tb.disconnect(c)
	tb.line(0).Raise()
	tb.Settle()
	if len(first.taken()) != 1 || len(second.taken()) != 0 {
		t.Error("after one sharer left, the other is not the only one served")
	}
	if i := tb.info(tb.v(0)); i.Arrived != 6 || i.Taken != 6 || len(i.Holders) != 1 {
		t.Errorf("%+v", i)
	}
}

func TestRule2AStuckSharerDelaysNobody(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	stuck, release := make(chan struct{}), make(chan struct{})
	tb.connect(as(1001, nil, sharing, func(q *irq.Request) {
		q.Handler = func(irq.Interrupt) irq.Verdict {
			close(stuck)
			<-release
			return irq.Done
		}
	}), tb.v(0))
	d := &driver{}
	tb.connect(as(1002, d, sharing), tb.v(0))
	for range 5 {
		tb.line(0).Raise() // returns
	}
	<-stuck
	n := uint64(0)
	eventually(t, "the other sharer gets all five", func() bool {
		for _, i := range d.taken() {
			n += i.Count
		}
		return n == 5
	})
	close(release)
}
