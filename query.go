package ivt

import (
	"context"
	"iter"
	"time"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
)

// Lookup returns what is known of one vector, by any of its names. For an interrupt of the kernel's it names
// the kernel driver.
func (c *Client) Lookup(ctx context.Context, vector string) (irq.Info, error) {
	var out api.LookupOut
	err := c.wire.call(ctx, "Lookup", api.VectorIn{Vector: vector}, &out)
	return out.Vector.Info(), err
}

// List iterates over the vectors of a source, or of all ("") , in order. held leaves out those that are free. An error ends it.
func (c *Client) List(ctx context.Context, source string, held bool) iter.Seq2[irq.Info, error] {
	return func(yield func(irq.Info, error) bool) {
		for in := (api.ListIn{Source: source, Held: held}); ; {
			var out api.ListOut
			if err := c.wire.call(ctx, "List", in, &out); err != nil {
				yield(irq.Info{}, err)
				return
			}
			for _, v := range out.Vectors {
				if !yield(v.Info(), nil) {
					return
				}
			}
			if in.After = out.Next; in.After == "" {
				return
			}
		}
	}
}

// History iterates over past events of a vector, or of all (""), since a time, oldest first. An error ends it.
func (c *Client) History(ctx context.Context, vector string, since time.Time) iter.Seq2[irq.Event, error] {
	return func(yield func(irq.Event, error) bool) {
		for in := (api.HistoryIn{Vector: vector, Since: since}); ; {
			var out api.HistoryOut
			if err := c.wire.call(ctx, "History", in, &out); err != nil {
				yield(irq.Event{}, err)
				return
			}
			for _, e := range out.Events {
				if !yield(e.Event(), nil) {
					return
				}
			}
			if in.After = out.Next; in.After == "" {
				return
			}
		}
	}
}

// An Update is one thing that a watcher is told.
type Update struct {
	Snapshot []irq.Info // vectors that are not free; before Ready
	Ready    bool       // the snapshot is complete; from now on come events
	Sequence uint64     // with Ready: the number of the last event before it
	Event    *irq.Event
	Lost     uint64 // how many events were missed before this update
}

func updateOf(out api.WatchOut) Update {
	u := Update{Ready: out.Ready, Sequence: out.Sequence, Lost: out.Lost}
	for _, v := range out.Snapshot {
		u.Snapshot = append(u.Snapshot, v.Info())
	}
	if out.Event != nil {
		e := out.Event.Event()
		u.Event = &e
	}
	return u
}

// A Status is how ivtd is.
type Status struct {
	Instance    string         `json:"instance"` // of the registry: another one after a restart that kept nothing
	Version     string         `json:"version,omitempty"`
	Since       time.Time      `json:"since,omitzero"`
	PID         int            `json:"pid,omitempty"`
	Policy      string         `json:"policy,omitempty"`
	Sources     []string       `json:"sources,omitempty"`
	Vectors     int            `json:"vectors"`
	Connections int            `json:"connections"`
	Orphans     int            `json:"orphans"`
	Waiting     int            `json:"waiting"`
	Sessions    int            `json:"sessions"`
	Sequence    uint64         `json:"sequence"` // number of the last event
	Refusals    map[string]int `json:"refusals,omitempty"`
	Limits      []string       `json:"limits,omitempty"` // in words
}

// Status asks ivtd how it is.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var out api.StatusOut
	err := c.wire.call(ctx, "Status", nil, &out)
	return Status(out), err
}
