package irq_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

func TestRule1SecondClaimIsRefusedAndNamesTheHolder(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	first := tb.connect(as(1001, nil, func(q *irq.Request) { q.Holder.Label = "nicd" }), tb.v(3))

	_, err := tb.try(as(1002, nil), tb.v(3))
	e := refused(t, err, irq.ErrAlreadyConnected, irq.ReasonHeld)
	if !errors.Is(err, numberOf(irq.ErrAlreadyConnected, syscall.EBUSY)) {
		t.Error("763 does not match EBUSY")
	}
	h := e.Conflicts[0].Holders[0]
	if h.PID != 1001 || h.Label != "nicd" || h.Connection != first.ID() || !h.Since.Equal(tb.clock.Now()) {
		t.Errorf("the holder is named as %+v", h)
	}
	if len(e.Remedies) == 0 || !strings.Contains(e.Error(), "pid 1001") {
		t.Errorf("the refusal says %v, and to do %v", e, e.Remedies)
	}
}

func TestRule1ARefusedClaimChangesNothingOfTheIncumbent(t *testing.T) {
	d := &driver{}
	w := &wire{}
	tb := newTable(t, irq.SourceSpec{Wiring: w})
	c := tb.connect(as(1001, d), tb.v(3))
	tb.line(3).Raise()
	if err := c.Mask(c.Generation(), tb.v(3)); err != nil {
		t.Fatal(err)
	}
	tb.line(3).Raise()
	before := tb.info(tb.v(3))
	w.taken()

	claims := map[string]func(*irq.Request){
		"the same":        nil,
		"to share":        sharing,
		"as a device":     func(q *irq.Request) { q.Access = irq.AccessDevice },
		"another trigger": func(q *irq.Request) { q.Trigger = irq.TriggerLevel },
		"as a dry run":    func(q *irq.Request) { q.DryRun = true },
	}
	for name, with := range claims {
		if _, err := tb.try(with, tb.v(3)); err == nil {
			t.Errorf("a second claim %s is granted", name)
		}
		if _, err := tb.try(with, tb.v(2), tb.v(3), tb.v(4)); err == nil {
			t.Errorf("a claim %s beside others is granted", name)
		}
	}
	if diff := cmp.Diff(before, tb.info(tb.v(3))); diff != "" {
		t.Errorf("the incumbent's vector changed:\n%s", diff)
	}
	if log := w.taken(); log != nil {
		t.Errorf("refused claims were wired: %q", log)
	}
	if err := c.Unmask(c.Generation(), tb.v(3)); err != nil {
		t.Fatal(err)
	}
	tb.Settle()
	if got := d.taken(); len(got) != 2 || got[1].Count != 1 {
		t.Errorf("the incumbent got %+v", got)
	}
}

func TestRule1EveryConflictIsListed(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	tb.connect(as(1001, nil), tb.v(1))
	tb.connect(as(1002, nil), tb.v(5), tb.v(6))

	_, err := tb.try(as(1003, nil), tb.v(0), tb.v(1), tb.v(2), tb.v(5))
	e := refused(t, err, irq.ErrAlreadyConnected, irq.ReasonHeld)
	want := map[irq.Vector][]int{tb.v(1): {1001}, tb.v(5): {1002}}
	if diff := cmp.Diff(want, pids(e.Conflicts)); diff != "" {
		t.Error(diff)
	}
	for _, free := range []int{0, 2} {
		if i := tb.info(tb.v(free)); i.State != irq.StateFree {
			t.Errorf("%v is %s after a refused claim", i.Vector, i.State)
		}
	}
}

func TestRule1TwoNamesNeverMakeTwoOwners(t *testing.T) {
	irq36 := irq.Vector{Source: "irq", Index: 36}
	pci := irq.Vector{Source: "pci:0000:3b:00.0", Type: "msix", Index: 2}
	tb := newTable(t, irq.SourceSpec{Name: pci.Source, Groups: []irq.Group{{Type: "msix", Count: 4}}, Aliases: map[irq.Vector]irq.Vector{irq36: pci}})
	c := tb.connect(as(1001, nil), irq36)
	if diff := cmp.Diff([]irq.Vector{pci}, c.Vectors()); diff != "" {
		t.Error(diff)
	}
	_, err := tb.try(nil, pci)
	if e := refused(t, err, irq.ErrAlreadyConnected, irq.ReasonHeld); e.Conflicts[0].Vector != pci {
		t.Error(e)
	}
	if diff := cmp.Diff(tb.info(pci), tb.info(irq36)); diff != "" {
		t.Error(diff)
	}
	_, err = tb.try(nil, irq.Vector{Source: pci.Source, Type: "msix", Index: 1}, irq36, irq.Vector{Source: pci.Source, Type: "msix", Index: 1})
	refused(t, err, irq.ErrInvalidParameter, irq.ReasonMalformed)
	tb.disconnect(c)
	_, err = tb.try(nil, pci, irq36)
	refused(t, err, irq.ErrInvalidParameter, irq.ReasonMalformed)

	_, err = tb.Attach(irq.SourceSpec{Name: "uio:uio0", Groups: []irq.Group{{Count: 1}}, Aliases: map[irq.Vector]irq.Vector{irq36: {Source: "uio:uio0"}}})
	refused(t, err, irq.ErrAlreadyConnected, irq.ReasonHeld)
}

func TestRule1AnAliasHidesAKernelVectorOfThatName(t *testing.T) {
	irq1 := irq.Vector{Source: "irq", Index: 1}
	tb := newTable(t, irq.SourceSpec{Name: "irq", Groups: []irq.Group{{Count: 4}}})
	c := tb.connect(as(1001, nil), irq1)
	spec := irq.SourceSpec{Name: "uio:uio0", Groups: []irq.Group{{Count: 1}}, Aliases: map[irq.Vector]irq.Vector{irq1: {Source: "uio:uio0"}}}
	_, err := tb.Attach(spec)
	refused(t, err, irq.ErrAlreadyConnected, irq.ReasonHeld)
	tb.disconnect(c)
	tb.attach(spec)
	if c := tb.connect(nil, irq1); c.Vectors()[0].Source != "uio:uio0" {
		t.Error("irq:1 still names", c.Vectors())
	}
	var all []string
	for i := range tb.List("", irq.Vector{}) {
		all = append(all, i.Vector.String())
	}
	if diff := cmp.Diff([]string{"irq:0", "irq:2", "irq:3", "uio:uio0/0"}, all); diff != "" {
		t.Error(diff)
	}
}
