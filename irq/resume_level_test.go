package irq

import (
	"context"
	"testing"
	"time"
)

// raisingWiring raises each line while it is being wired, as a device does that is still asserted.
type raisingWiring struct{ given chan Interrupt }

func (w raisingWiring) Wire(_ context.Context, c Claim) (Handler, error) {
	c.Line.Raise()
	return func(i Interrupt) Verdict { w.given <- i; return Pending }, nil
}
func (raisingWiring) Unwire(Claim) error         { return nil }
func (raisingWiring) SetMask(Vector, bool) error { return nil }
func (raisingWiring) Ring(Vector) error          { return nil }

// A level line that was raised between its re-wiring and the ring goes on after both were taken by one delivery.
func TestRule9ResumedLevelLineGoesOn(t *testing.T) {
	r := New(Config{})
	defer r.Close()
	w := raisingWiring{make(chan Interrupt, 10)}
	v := Vector{Source: "soft:x"}
	s, err := r.Attach(SourceSpec{Name: v.Source, Groups: []Group{{Count: 1, Trigger: TriggerLevel, Shareable: true, Delivery: DeliveryStream}}, Wiring: w})
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Connect(context.Background(), Request{Vectors: []Vector{v}, Shared: true, Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	serve := func() (n int) {
		for r.Settle(); len(w.given) > 0; r.Settle() {
			i := <-w.given
			n++
			if err := c.Ack(0, 0, i.Sequence, true); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	serve()
	c.HolderDied()
	r.Settle()
	if err := c.Resume(context.Background(), thisProcess()); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		if serve() == 0 {
			t.Errorf("round %d: slept through", round)
		}
		s.Line("", 0).Raise()
	}
}
