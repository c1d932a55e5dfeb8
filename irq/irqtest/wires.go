package irqtest

import (
	"context"
	"sync"

	"github.com/ivtd/ivt/irq"
)

// wires is the Wiring of a bench: it passes the request's own handler on, or refuses.
type wires struct {
	mu   sync.Mutex
	next *irq.Error
}

func (w *wires) refuse(code irq.Code, holders []irq.Holder) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = &irq.Error{Code: code, Detail: "the test refuses it"}
	if len(holders) > 0 {
		w.next.Reason = irq.ReasonHeld
		w.next.Conflicts = []irq.Conflict{{Reason: irq.ReasonHeld, Holders: holders}}
	}
}

func (w *wires) Wire(_ context.Context, c irq.Claim) (irq.Handler, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.next; err != nil {
		w.next = nil
		for i := range err.Conflicts {
			err.Conflicts[i].Vector = c.Vector
		}
		return nil, err
	}
	if c.Handler == nil {
		return nil, &irq.Error{Code: irq.ErrInvalidParameter, Reason: irq.ReasonMalformed, Detail: "there is no handler"}
	}
	return c.Handler, nil
}

func (w *wires) Unwire(irq.Claim) error         { return nil }
func (w *wires) SetMask(irq.Vector, bool) error { return nil }
func (w *wires) Ring(irq.Vector) error          { return nil }
