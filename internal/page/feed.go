package page

import (
	"context"
	"errors"
	"iter"
	"sync"
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
	Watch(ctx context.Context, since uint64) iter.Seq2[Update, error] // nil: there are no events
	History(ctx context.Context, vector string) ([]irq.Event, error)
	Findings(ctx context.Context) (*doctor.Report, error)
	Live() bool
}

// An Update is what a Watch has.
type Update struct {
	ivt.Update
	Anew string // another registry than before, this one: what was held is not any more, and numbers begin again
}

// Machine is the feed of a machine as the caller sees it, with ivtd's side where one answers.
type Machine struct {
	Root     *host.Root
	Options  []ivt.Option  // which ivtd
	Alone    bool          // a saved machine: no ivtd
	Interval time.Duration // between two readings of the kernel's side; default one second

	sampler  *picture.Sampler
	mu       sync.Mutex
	registry string // the instance that was watched last
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

// Picture reads both sides, of each what may be another than before. It is for one goroutine at a time.
func (m *Machine) Picture(ctx context.Context) (*picture.Picture, error) {
	if m.sampler == nil {
		m.sampler = &picture.Sampler{Root: m.Root, Parts: host.PartList | host.PartAffinity | host.PartSystem, Apart: apart(m.Interval)}
		if !m.Root.Live() {
			m.sampler.Parts |= host.PartCounts // what one picture has in the place of rates
		}
		if !m.Alone {
			m.sampler.Dial = func(ctx context.Context) (*ivt.Client, error) {
				c, err := ivt.Dial(ctx, m.Options...)
				if errors.Is(err, ivt.ErrNoDaemon) {
					return nil, nil
				}
				return c, err
			}
		}
	}
	return m.sampler.Next(ctx)
}

// Close hangs up, when no picture is being taken.
func (m *Machine) Close() {
	if m.sampler != nil {
		m.sampler.Close()
	}
}

// Watch follows ivtd's events; it ends when ivtd goes, and the caller tries again. Of a registry that is another than the one
// before it begins with what happens from now on, whatever since is.
func (m *Machine) Watch(ctx context.Context, since uint64) iter.Seq2[Update, error] {
	c := m.client(ctx)
	if c == nil {
		return nil
	}
	return func(yield func(Update, error) bool) {
		defer c.Close()
		status, err := c.Status(ctx)
		if err != nil {
			yield(Update{}, err)
			return
		}
		if m.another(status.Instance) {
			since = 0
			if !yield(Update{Anew: status.Instance}, nil) {
				return
			}
		}
		for u, err := range c.Watch(ctx, "", since) {
			if !yield(Update{Update: u}, err) {
				return
			}
		}
	}
}

// another notes which registry answers, and reports whether it was another one before.
func (m *Machine) another(registry string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.registry
	m.registry = registry
	return before != "" && before != registry
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
