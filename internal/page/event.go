package page

import (
	"time"

	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/irq"
)

// event is irq.Event as the page wants it: with the words for both parties of a refusal.
type event struct {
	Sequence uint64        `json:"sequence"`
	Time     time.Time     `json:"time"`
	Kind     irq.EventKind `json:"kind"`
	Vector   string        `json:"vector"`
	Who      string        `json:"who,omitempty"`
	Code     uint32        `json:"code,omitempty"`
	Name     string        `json:"name,omitempty"`
	Holders  []string      `json:"holders,omitempty"` // who was in the way
	Why      string        `json:"why,omitempty"`
	Remedies []string      `json:"remedies,omitempty"`
}

func eventOf(e *irq.Event) *event {
	if e == nil {
		return nil
	}
	out := &event{Sequence: e.Sequence, Time: e.Time, Kind: e.Kind, Vector: e.Source, Why: e.Detail}
	if !e.Vector.IsZero() {
		out.Vector = e.Vector.String()
	}
	if e.Holder != nil {
		out.Who = picture.Short(*e.Holder)
	}
	if r := e.Refused; r != nil {
		out.Code, out.Name, out.Remedies = uint32(r.Code), r.Code.Name(), r.Remedies
		if r.Detail != "" {
			out.Why = r.Detail
		}
		for _, c := range r.Conflicts {
			for _, h := range c.Holders {
				out.Holders = append(out.Holders, h.String())
			}
		}
	}
	return out
}
