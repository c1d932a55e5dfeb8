package irq

import "sync/atomic"

// An Interrupt is one delivery.
type Interrupt struct {
	Slot     int    // which vector of the request, 0 for the first
	Sequence uint64 // per connection and vector, from 1, without gaps
	Count    uint64 // interrupts since the last delivery, 0 if it is only rung (rule 9)
	Time     int64  // CLOCK_MONOTONIC nanoseconds from the kernel, 0 if unknown; of the first if several came together
	Lost     uint64 // dropped by the kernel before ivt saw them
	Data     uint64 // source specific (GPIO: 1 rising, 2 falling); or-ed if several came together
	Rang     bool   // delivered because in doubt, perhaps without an interrupt
}

// A Handler runs for each interrupt, never twice at the same time for one vector of one connection.
// It runs on the goroutine that raises, or on one of the registry's: when the vector is shared (so that
// a slow sharer delays nobody), and when nobody raises just then (rung, unmasked, fired again).
//
// It must not panic and not end its goroutine: the vector would stay as if the handler ran for ever.
type Handler func(Interrupt) Verdict

// A Verdict is what the handler made of it.
type Verdict uint8

// The verdicts.
const (
	Handled   Verdict = iota // acknowledged and productive
	Unhandled                // acknowledged, not mine (counts towards a storm, rule 11)
	Pending                  // will be acknowledged by Connection.Ack; a level line stays masked until then
	Done                     // acknowledged; disconnect this connection (rule 5)
)

// A Line is one vector as its raiser sees it. It is 40 bytes, the whole price of a vector that nobody uses.
type Line struct {
	action atomic.Pointer[action] // who is on it: the only one, or the first of a chain; nil while free
	late   atomic.Uint64          // arrivals that no holder has been given yet
	group  *group
	more   *more // of a vector that is or was in use; guarded by Registry.mu
	index  int32
	high   atomic.Bool // asserted by SetLevel
}

// Vector returns the canonical name.
func (l *Line) Vector() Vector {
	return Vector{Source: l.group.source.spec.Name, Type: l.group.Type, Index: int(l.index)}
}

// Raise signals an interrupt: to the handler on an unmasked vector, else it is pending and counted, and
// is delivered at least once later. Raises that come while the handler runs are delivered together,
// with their count, when it returns.
//
// On a vector with one holder and edge trigger Raise takes no lock and allocates nothing.
func (l *Line) Raise() {
	a := l.action.Load()
	if a == nil {
		l.raise(Interrupt{Count: 1})
		return
	}
	w := a.word.Load()
	if w&flags != 0 || !a.word.CompareAndSwap(w, w+arrival+running) {
		l.raise(Interrupt{Count: 1})
		return
	}
	sequence := w/arrival + a.given.Load() + 1
	if v := a.handler(Interrupt{Slot: a.slot, Sequence: sequence, Count: 1}); v != Handled {
		a.settle(sequence, v)
	}
	if w := a.word.Add(^uint64(running - 1)); w&flags != 0 {
		if ring, ok := a.leave(w, 0); ok {
			a.run(ring, 1)
		}
	}
}

// RaiseInterrupt is Raise for a source that knows more: how many (Count 0 is one, unless Rang), when,
// what the kernel lost before (reported as an event), data. Slot and Sequence are the registry's.
func (l *Line) RaiseInterrupt(i Interrupt) {
	if i.Count == 0 && !i.Rang {
		i.Count = 1
	}
	if i.Lost > 0 {
		l.group.source.r.lost(l, i.Lost)
	}
	l.raise(i)
}

// SetLevel asserts or deasserts a level line of an emulated device: while asserted, unmasked and
// acknowledged it fires again. On an edge vector asserting is Raise.
func (l *Line) SetLevel(asserted bool) {
	if l.group.Trigger != TriggerLevel {
		if asserted {
			l.Raise()
		}
		return
	}
	if was := l.high.Swap(asserted); asserted && !was {
		l.raise(Interrupt{Count: 1})
	}
}

// raise is the long way: it works in every state.
func (l *Line) raise(i Interrupt) {
	a := l.action.Load()
	if a != nil && a.chain.fans() {
		if a.chain.raise(i) {
			return
		}
	} else if a != nil {
		a.note(i)
	}
	// First counted, then looked who is there: whoever connects meanwhile looks in the other order.
	l.late.Add(i.Count)
	switch a := l.action.Load(); {
	case a == nil:
	case a.chain.fans():
		a.chain.raise(Interrupt{})
	default:
		a.kick(byRaiser)
	}
}
