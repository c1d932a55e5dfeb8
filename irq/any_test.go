package irq_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

func anyOf(kind string, n int) func(*irq.Request) {
	return func(q *irq.Request) { q.Any = &irq.Any{Source: "soft:demo", Type: kind, Count: n} }
}

func indexes(c *irq.Connection) (is []int) {
	for _, v := range c.Vectors() {
		is = append(is, v.Index)
	}
	return is
}

func TestAnyTakesTheLowestFree(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	tb.connect(nil, tb.v(0), tb.v(2))
	tb.demo.SetUnavailable(tb.v(4), &irq.Error{Code: irq.ErrBusy})
	if diff := cmp.Diff([]int{1, 3, 5}, indexes(tb.connect(anyOf("", 3)))); diff != "" {
		t.Error(diff)
	}
	e := refused(t, second(tb.try(anyOf("", 11))), irq.ErrNoResources, irq.ReasonNotEnoughVectors)
	if e.Requested != 11 || e.Free != 10 {
		t.Errorf("%+v", e)
	}
	g := &gate{hidden: map[int]bool{6: true}, denied: map[int]bool{7: true, 8: true}}
	if diff := cmp.Diff([]int{9, 10}, indexes(tb.connect(func(q *irq.Request) { anyOf("", 2)(q); q.Gate = g }))); diff != "" {
		t.Error("what policy hides or denies is passed over:", diff)
	}
	for i := range 16 {
		g.denied[i] = true
	}
	refused(t, second(tb.try(func(q *irq.Request) { anyOf("", 1)(q); q.Gate = g })), irq.ErrAccessDenied, irq.ReasonDenied)
}

func TestAnyPrefersTheTypeInUseThenTheBest(t *testing.T) {
	kinds := []irq.Group{{Type: "intx", Count: 1}, {Type: "msi", Count: 4}, {Type: "msix", Count: 4}}
	tb := newTable(t, irq.SourceSpec{Groups: kinds, OneType: true})
	c := tb.connect(anyOf("", 1))
	if kind := c.Vectors()[0].Type; kind != "msix" {
		t.Error("none in use, given", kind)
	}
	tb.disconnect(c)
	tb.connect(anyOf("msi", 1))
	if kind := tb.connect(anyOf("", 1)).Vectors()[0].Type; kind != "msi" {
		t.Error("msi in use, given", kind)
	}
	refused(t, second(tb.try(anyOf("msix", 1))), irq.ErrBusy, irq.ReasonModeConflict)
}

func TestADeviceGrantIsAloneUnlessItConsents(t *testing.T) {
	device := func(consent bool) func(*irq.Request) {
		return func(q *irq.Request) { q.Access, q.Consent = irq.AccessDevice, consent }
	}
	tb := newTable(t, irq.SourceSpec{})
	other := tb.connect(as(1, nil), tb.v(9))
	e := refused(t, second(tb.try(device(true), tb.v(0))), irq.ErrBusy, irq.ReasonDeviceGranted)
	if diff := cmp.Diff(map[irq.Vector][]int{tb.v(9): {1}}, pids(e.Conflicts)); diff != "" {
		t.Error(diff)
	}
	tb.disconnect(other)
	c := tb.connect(device(false), tb.v(0))
	refused(t, second(tb.try(nil, tb.v(1))), irq.ErrBusy, irq.ReasonDeviceGranted)
	refused(t, second(tb.try(anyOf("", 1))), irq.ErrBusy, irq.ReasonDeviceGranted)
	tb.disconnect(c)
	tb.connect(device(true), tb.v(0))
	tb.connect(nil, tb.v(1))
	refused(t, second(tb.try(device(true), tb.v(2))), irq.ErrBusy, irq.ReasonDeviceGranted)
	if h := tb.info(tb.v(0)).Holders[0]; h.Access != irq.AccessDevice {
		t.Errorf("%+v", h)
	}
}

func TestABudgetBoundsWhatIsConnectedAtOnce(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{Budget: 3})
	c := tb.connect(sharing, tb.v(0), tb.v(1))
	e := refused(t, second(tb.try(nil, tb.v(2), tb.v(3))), irq.ErrNoResources, irq.ReasonNotEnoughVectors)
	if e.Requested != 2 || e.Free != 1 {
		t.Errorf("%+v", e)
	}
	tb.connect(sharing, tb.v(0), tb.v(2)) // a sharer needs no vector more
	tb.disconnect(c)
	tb.connect(nil, tb.v(3))
}

func TestListGoesOnFromWhereItWas(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{{Type: "msi", Count: 40}, {Type: "intx", Count: 1}}})
	tb.attach(irq.SourceSpec{Name: "a:b", Groups: []irq.Group{edge(70)}})
	var all []irq.Vector
	for i := range tb.List("", irq.Vector{}) {
		all = append(all, i.Vector)
	}
	if len(all) != 111 || all[0].Source != "a:b" || all[70].Type != "intx" {
		t.Fatalf("%d: %v", len(all), all)
	}
	for n, v := range all {
		var rest []irq.Vector
		for i := range tb.List("", v) {
			rest = append(rest, i.Vector)
		}
		if diff := cmp.Diff(len(all)-n-1, len(rest)); diff != "" {
			t.Fatalf("after %v: %s", v, diff)
		}
	}
	n := 0
	for range tb.List("soft:demo", irq.Vector{}) {
		if n++; n == 5 {
			break
		}
	}
	for range tb.List("soft:none", irq.Vector{}) {
		t.Error("a source that is not there has vectors")
	}
	if n != 5 {
		t.Error(n)
	}
	n = 0
	for c := range tb.Connections() {
		t.Error(c)
	}
	for _, v := range all[:100] {
		tb.connect(nil, v)
	}
	for c := range tb.Connections() { // ending what is listed meanwhile
		tb.disconnect(c)
		n++
	}
	if n != 100 || tb.Stats().Connections != 0 {
		t.Error(n, tb.Stats())
	}
}
