package top

import (
	"context"
	"sync"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/doctor"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/irq"
)

// A Feed is where the view has its data from. Its methods are called from several goroutines.
type Feed interface {
	Name() string // of the machine
	Live() bool   // false: one picture is all there is
	Next(context.Context) (*picture.Picture, error)
	About(ctx context.Context, vector string, names []string) *About
}

// About is what is asked for when somebody looks at one vector.
type About struct {
	Events   []irq.Event       // its latest, oldest first
	Findings []*doctor.Finding // that name it
	Notes    []string          // what could not be asked, and why
}

// parts are what the columns show.
const parts = host.PartList | host.PartCounts | host.PartAffinity | host.PartSystem

// Machine is the feed of a machine as the caller sees it.
type Machine struct {
	root *host.Root
	dial func(context.Context) (*ivt.Client, error)

	mu      sync.Mutex
	sampler picture.Sampler
}

// NewMachine makes the feed of a machine. dial connects to ivtd; nil for a machine without one. Close it.
func NewMachine(root *host.Root, dial func(context.Context) (*ivt.Client, error)) *Machine {
	return &Machine{root: root, dial: dial, sampler: picture.Sampler{Root: root, Dial: dial, Parts: parts}}
}

// Name returns what the machine was called on the command line, "this machine" for the live one.
func (m *Machine) Name() string { return m.root.Name() }

// Live reports whether a second picture can differ from the first.
func (m *Machine) Live() bool { return m.root.Live() }

// Next takes a picture.
func (m *Machine) Next(ctx context.Context) (*picture.Picture, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sampler.Next(ctx)
}

// Close waits for a picture that is being taken, and hangs up.
func (m *Machine) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sampler.Close()
}

// About asks ivtd for the past of a vector, and the doctor for what is wrong with it under any of its names.
func (m *Machine) About(ctx context.Context, vector string, names []string) *About {
	a := &About{}
	if err := m.history(ctx, vector, a); err != nil {
		a.Notes = append(a.Notes, "its history cannot be asked: "+err.Error())
	}
	report, err := doctor.Run(ctx, m.root, doctor.Options{Sample: -1})
	if err != nil {
		a.Notes = append(a.Notes, "the doctor cannot look: "+err.Error())
		return a
	}
	for _, f := range report.Findings {
		if concerns(f, names) {
			a.Findings = append(a.Findings, f)
		}
	}
	return a
}

func concerns(f *doctor.Finding, names []string) bool {
	for _, v := range f.Vectors {
		for _, n := range names {
			if v == n {
				return true
			}
		}
	}
	return false
}

// mostEvents is how much of a vector's past is shown.
const mostEvents = 100

func (m *Machine) history(ctx context.Context, vector string, a *About) error {
	if m.dial == nil {
		return nil
	}
	c, err := m.dial(ctx)
	if c == nil || err != nil {
		return err
	}
	defer c.Close()
	for e, err := range c.History(ctx, vector, time.Time{}) {
		if err != nil {
			return err
		}
		if a.Events = append(a.Events, e); len(a.Events) == 2*mostEvents {
			a.Events = append([]irq.Event{}, a.Events[mostEvents:]...)
		}
	}
	a.Events = a.Events[max(0, len(a.Events)-mostEvents):]
	return nil
}
