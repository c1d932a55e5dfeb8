package api

import (
	"time"

	"github.com/ivtd/ivt/irq"
)

// A Vector is irq.Info on the wire.
type Vector struct {
	Name       string       `json:"name"`
	Aliases    []string     `json:"aliases"`
	Instance   string       `json:"instance"`
	State      irq.State    `json:"state"`
	Trigger    irq.Trigger  `json:"trigger,omitempty"`
	Shareable  bool         `json:"shareable"`
	Maskable   bool         `json:"maskable"`
	Delivery   irq.Delivery `json:"delivery,omitempty"`
	Protection string       `json:"protection,omitempty"`
	Masked     bool         `json:"masked"`
	IRQ        int          `json:"irq,omitempty"`
	Holders    []Holder     `json:"holders"`
	Waiting    int          `json:"waiting"`
	Arrived    *uint64      `json:"arrived,omitempty"`
	Taken      *uint64      `json:"taken,omitempty"`
	Unhandled  *uint64      `json:"unhandled,omitempty"`
	Overdue    []Holder     `json:"overdue"`
	Storm      bool         `json:"storm"`
	Reason     irq.Reason   `json:"reason,omitempty"`
	Detail     string       `json:"detail,omitempty"`
}

// FromInfo puts what is known of a vector on the wire.
func FromInfo(i irq.Info) Vector {
	v := Vector{
		Name: i.Vector.String(), Aliases: make([]string, len(i.Aliases)), Instance: i.Instance, State: i.State, Trigger: i.Trigger,
		Shareable: i.Shareable, Maskable: i.Maskable, Delivery: i.Delivery, Protection: i.Protection, Masked: i.Masked,
		Holders: FromHolders(i.Holders), Waiting: i.Waiting, Overdue: FromHolders(i.Overdue), Storm: i.Storm, Reason: i.Reason, Detail: i.Detail,
	}
	for n, alias := range i.Aliases {
		v.Aliases[n] = alias.String()
		if alias.Source == "irq" {
			v.IRQ = alias.Index
		}
	}
	if i.Counted {
		v.Arrived, v.Taken, v.Unhandled = &i.Arrived, &i.Taken, &i.Unhandled
	}
	return v
}

// Info takes it off the wire.
func (v Vector) Info() irq.Info {
	i := irq.Info{
		Instance: v.Instance, State: v.State, Trigger: v.Trigger, Shareable: v.Shareable, Maskable: v.Maskable, Delivery: v.Delivery,
		Protection: v.Protection, Masked: v.Masked, Holders: Holders(v.Holders), Waiting: v.Waiting, Overdue: Holders(v.Overdue),
		Storm: v.Storm, Reason: v.Reason, Detail: v.Detail, Counted: v.Arrived != nil,
	}
	i.Vector, _ = irq.ParseVector(v.Name) // of a newer ivtd: zero
	for _, alias := range v.Aliases {
		if a, err := irq.ParseVector(alias); err == nil {
			i.Aliases = append(i.Aliases, a)
		}
	}
	i.Arrived, i.Taken, i.Unhandled = value(v.Arrived), value(v.Taken), value(v.Unhandled)
	return i
}

func value(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

// An Event is irq.Event on the wire.
type Event struct {
	Sequence uint64        `json:"sequence"`
	Time     time.Time     `json:"time"`
	Kind     irq.EventKind `json:"kind"`
	Vector   string        `json:"vector,omitempty"`
	Source   string        `json:"source,omitempty"`
	Holder   *Holder       `json:"holder,omitempty"`
	Refused  *Refusal      `json:"refused,omitempty"`
	Reason   irq.Reason    `json:"reason,omitempty"`
	Detail   string        `json:"detail,omitempty"`
	Repeats  uint64        `json:"repeats,omitempty"`
	Until    time.Time     `json:"until,omitzero"`
}

// FromEvent puts an event on the wire.
func FromEvent(e irq.Event) Event {
	w := Event{
		Sequence: e.Sequence, Time: e.Time.Round(0).UTC(), Kind: e.Kind, Vector: name(e.Vector), Source: e.Source, Reason: e.Reason, Detail: e.Detail,
		Repeats: e.Repeats, Until: e.Until.Round(0).UTC(),
	}
	if e.Holder != nil {
		h := FromHolder(*e.Holder)
		w.Holder = &h
	}
	if e.Refused != nil {
		r := FromError(e.Refused)
		w.Refused = &r
	}
	return w
}

// Event takes it off the wire.
func (w Event) Event() irq.Event {
	e := irq.Event{Sequence: w.Sequence, Time: w.Time, Kind: w.Kind, Source: w.Source, Reason: w.Reason, Detail: w.Detail, Repeats: w.Repeats, Until: w.Until}
	if w.Vector != "" {
		e.Vector, _ = irq.ParseVector(w.Vector)
	}
	if w.Holder != nil {
		h := w.Holder.Holder()
		e.Holder = &h
	}
	if w.Refused != nil {
		e.Refused = w.Refused.Err()
	}
	return e
}
