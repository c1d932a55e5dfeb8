package irq_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ivtd/ivt/irq"
)

func TestSmoke(t *testing.T) {
	r := irq.New(irq.Config{})
	s, err := r.Attach(irq.SourceSpec{Name: "soft:demo", Groups: []irq.Group{{Count: 64, Maskable: true, Shareable: true}}})
	if err != nil {
		t.Fatal(err)
	}
	v := irq.Vector{Source: "soft:demo", Index: 3}
	var got []irq.Interrupt
	h := func(i irq.Interrupt) irq.Verdict { got = append(got, i); return irq.Handled }
	ctx := context.Background()
	s.Line("", 3).Raise()
	c, err := r.Connect(ctx, irq.Request{Vectors: []irq.Vector{v}, Handler: h})
	if err != nil {
		t.Fatal(err)
	}
	r.Settle()
	s.Line("", 3).Raise()
	s.Line("", 3).Raise()
	_, err = r.Connect(ctx, irq.Request{Vectors: []irq.Vector{v}, Handler: h})
	t.Log(err)
	if !errors.Is(err, irq.ErrAlreadyConnected) {
		t.Fatal(err)
	}
	if err := c.Mask(1, v); err != nil {
		t.Fatal(err)
	}
	s.Line("", 3).Raise()
	s.Line("", 3).Raise()
	if err := c.Unmask(1, v); err != nil {
		t.Fatal(err)
	}
	r.Settle()
	t.Logf("%+v", got)
	i, err := r.Lookup(v)
	t.Logf("%+v %v", i, err)
	if err := c.Disconnect(ctx); err != nil {
		t.Fatal(err)
	}
	t.Log(c.Disconnect(ctx))
	for e := range r.History(irq.Vector{}) {
		t.Logf("%d %s %s %v", e.Sequence, e.Kind, e.Vector, e.Holder)
	}
	n := 0
	for range r.List("", irq.Vector{}) {
		n++
	}
	if n != 64 {
		t.Fatal(n)
	}
	if err := s.Detach(ctx, false); err != nil {
		t.Fatal(err)
	}
	r.Close()
}
