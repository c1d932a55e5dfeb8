//go:build linux

package ivt_test

import (
	"context"
	"sync"

	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/source"
)

// wired:demo has vectors that come by eventfd, as those of a device do. Only the kernel's part is made up: what writes the
// eventfds is Raise. With a device it is test/vm.
type wired struct {
	mu   sync.Mutex
	fds  map[irq.Vector]int // of who has the vector
	gone chan struct{}
}

const wiredVectors = 4

// wiring is the latest one that was opened: tests have one ivtd at a time.
var wiring *wired

type wiredScheme struct{}

func init() { source.Register(wiredScheme{}) }

func (wiredScheme) Name() string                                     { return "wired" }
func (wiredScheme) Discover(context.Context) ([]source.Found, error) { return nil, nil }

func (wiredScheme) Open(context.Context, source.Config) (source.Source, error) {
	wiring = &wired{fds: map[irq.Vector]int{}, gone: make(chan struct{})}
	return wiring, nil
}

// allowWired adds wired:demo to a policy, for the user whom the first rule is for.
func allowWired(p *policy.Policy) {
	p.Softs = append(p.Softs, policy.Soft{Name: "wired:demo"})
	rule := p.Rules[0]
	rule.Vectors = []policy.Glob{"wired:*"}
	p.Rules = append(p.Rules, rule)
}

func (w *wired) Spec() irq.SourceSpec {
	return irq.SourceSpec{Name: "wired:demo", Wiring: w, Groups: []irq.Group{{Count: wiredVectors, Delivery: irq.DeliveryEventfd}}}
}

func (w *wired) Attached(*irq.Source)  {}
func (w *wired) Gone() <-chan struct{} { return w.gone }

func (w *wired) Wire(_ context.Context, c irq.Claim) (irq.Handler, error) {
	fd, err := kernel.ClientEventfd()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fds[c.Vector] = fd
	return nil, nil
}

func (w *wired) Unwire(c irq.Claim) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if fd, ok := w.fds[c.Vector]; ok {
		kernel.Close(fd)
	}
	delete(w.fds, c.Vector)
	return nil
}

func (w *wired) Adopt(irq.Claim) (irq.Handler, error)         { return nil, irq.ErrNotSupported }
func (w *wired) SetMask(irq.Vector, bool) error               { return irq.ErrNotSupported }
func (w *wired) Ring(v irq.Vector) error                      { return w.Raise(v, 1) }
func (w *wired) Doorbell(irq.Vector, irq.Holder) (int, error) { return -1, irq.ErrNotSupported }
func (w *wired) Close() error                                 { return nil }

// Raise does what the kernel does at an interrupt.
func (w *wired) Raise(v irq.Vector, count uint64) error {
	return w.with(v, func(fd int) error { return kernel.WriteEventfd(fd, count) })
}

func (w *wired) Descriptors(c irq.Claim) (d source.Descriptors, err error) {
	d = source.Descriptors{Delivery: irq.DeliveryEventfd, Unmask: -1, Device: -1, Container: -1}
	err = w.with(c.Vector, func(fd int) (err error) {
		d.FD, err = kernel.Duplicate(fd)
		return err
	})
	return d, err
}

// with calls f with the eventfd of who has v.
func (w *wired) with(v irq.Vector, f func(fd int) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	fd, ok := w.fds[v]
	if !ok {
		return irq.ErrNotConnected
	}
	return f(fd)
}
