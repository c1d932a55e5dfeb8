package irq

import (
	"fmt"
	"time"
)

// EventKind says what happened.
type EventKind string

// The kinds.
const (
	EventAdded, EventRemoved            EventKind = "added", "removed" // a source
	EventConnected, EventDisconnected   EventKind = "connected", "disconnected"
	EventRefused                        EventKind = "refused"
	EventOrphaned, EventResumed         EventKind = "orphaned", "resumed"
	EventRevoked, EventParked           EventKind = "revoked", "parked"
	EventMasked, EventUnmasked          EventKind = "masked", "unmasked"
	EventStorm, EventStalled, EventLost EventKind = "storm", "stalled", "lost"
	EventRang, EventChanged             EventKind = "rang", "changed"
)

// An Event is one line of history (rule 13).
type Event struct {
	Sequence uint64
	Time     time.Time
	Kind     EventKind
	Vector   Vector // or Source
	Source   string
	Holder   *Holder // whom it is about; shared, not to be changed
	Refused  *Error  // EventRefused: the refusal, with those who hold; shared, not to be changed
	Reason   Reason
	Detail   string
	Repeats  uint64 // EventRefused: how many more of the same were refused, up to Until
	Until    time.Time
}

// Emit adds an event of the caller's (a source noticed a loss, the daemon adopted). Sequence, and Time
// if it is zero, are the registry's.
func (r *Registry) Emit(e Event) { r.add(e) }

func (r *Registry) add(e Event) {
	if e.Time.IsZero() {
		e.Time = r.clock.Now()
	}
	if e.Source == "" {
		e.Source = e.Vector.Source
	}
	r.log.add(e)
}

// record adds an event about a holder and a vector.
func (r *Registry) record(kind EventKind, a *action, reason Reason, detail string) {
	r.add(Event{Kind: kind, Vector: a.line.Vector(), Holder: a.conn.holder.Load(), Reason: reason, Detail: detail})
}

// refused records that a request was refused, and returns the refusal (rule 13). A dry run asks only.
func (r *Registry) refused(q *Request, err *Error) error {
	if !q.DryRun {
		r.refusal(q, err)
	}
	return err
}

func (r *Registry) refusal(q *Request, err *Error) {
	h := q.Holder
	e := Event{Kind: EventRefused, Vector: err.Vector, Source: err.Vector.Source, Time: r.clock.Now(), Holder: &h, Refused: err, Reason: err.Reason, Detail: err.Detail}
	if e.Vector.IsZero() && len(err.Conflicts) > 0 {
		e.Vector = err.Conflicts[0].Vector
		e.Source = e.Vector.Source
	}
	r.log.refuse(e)
}

// complained is refused for a call about a connection.
func (r *Registry) complained(c *Connection, err *Error) error {
	r.refusal(&Request{Operation: err.Operation, Holder: c.Holder()}, err)
	return err
}

// complain records a failure of the Wiring that no call returns.
func (r *Registry) complain(l *Line, what string, err error) {
	if err != nil {
		r.add(Event{Kind: EventChanged, Vector: l.Vector(), Detail: fmt.Sprintf("%s failed: %v", what, err)})
	}
}

// lost records what the kernel dropped (rule 9).
func (r *Registry) lost(l *Line, n uint64) {
	r.totals.lost.Add(n)
	r.add(Event{Kind: EventLost, Vector: l.Vector(), Detail: fmt.Sprintf("%d interrupts were lost before they were seen", n)})
}

// stalled names who keeps a level line masked, and ends its connection if others suffer (rule 8).
func (r *Registry) stalled(a *action, revoke bool) {
	r.totals.overdue.Add(1)
	why := fmt.Sprintf("a level line was not acknowledged for %v", r.config.AckDeadline.Abs())
	r.record(EventStalled, a, "", why)
	if revoke {
		r.record(EventRevoked, a, ReasonRevoked, why)
		a.conn.end(endRevoked(why))
	}
}
