package page

import (
	"context"
	"iter"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/doctor"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/irq"
)

// A Feed is where the page has its data from.
type Feed interface {
	Picture(ctx context.Context) (*picture.Picture, error)
	Watch(ctx context.Context, since uint64) iter.Seq2[ivt.Update, error] // nil: there are no events
	History(ctx context.Context, vector string) ([]irq.Event, error)
	Findings(ctx context.Context) (*doctor.Report, error)
	Live() bool
}

// Machine is the feed of a machine as the caller sees it, with ivtd's side where one answers.
type Machine struct {
	Root    *host.Root
	Options []ivt.Option // which ivtd
	Alone   bool         // a saved machine: no ivtd
}

// Live reports whether there is anything to wait for.
func (m *Machine) Live() bool { return m.Root.Live() }

func (m *Machine) client(ctx context.Context) *ivt.Client {
	if m.Alone {
		return nil
	}
	c, err := ivt.Dial(ctx, m.Options...)
	if err != nil {
		return nil // the page works without; it tries again with the next picture
	}
	return c
}

// Picture reads both sides.
func (m *Machine) Picture(ctx context.Context) (*picture.Picture, error) {
	c := m.client(ctx)
	if c != nil {
		defer c.Close()
	}
	return picture.Take(ctx, picture.From{Root: m.Root, Client: c, Parts: host.PartList | host.PartCounts | host.PartAffinity | host.PartSystem})
}

// Watch follows ivtd's events; it ends when ivtd goes, and the caller tries again.
func (m *Machine) Watch(ctx context.Context, since uint64) iter.Seq2[ivt.Update, error] {
	c := m.client(ctx)
	if c == nil {
		return nil
	}
	return func(yield func(ivt.Update, error) bool) {
		defer c.Close()
		for u, err := range c.Watch(ctx, "", since) {
			if !yield(u, err) {
				return
			}
		}
	}
}

// History returns the past of a vector, of all for "".
func (m *Machine) History(ctx context.Context, vector string) (events []irq.Event, err error) {
	c := m.client(ctx)
	if c == nil {
		return nil, nil
	}
	defer c.Close()
	const most = 500
	for e, err := range c.History(ctx, vector, time.Time{}) {
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
	return events[max(0, len(events)-most):], nil
}

// Findings looks at the machine as ivt doctor does.
func (m *Machine) Findings(ctx context.Context) (*doctor.Report, error) {
	return doctor.Run(ctx, m.Root, doctor.Options{Sample: -1})
}
