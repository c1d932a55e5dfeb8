//go:build linux

package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// A device grant gives one holder the descriptor of the function and of its container: all that VFIO lets a driver
// do, DMA among it. Whoever comes next must find nothing of that: neither mappings (DMA still works through them
// after a reset) nor copies of the descriptors. So a group whose device was granted is closed, reset and opened anew
// before anybody else is connected; if the kernel still counts it as open, the vectors are unavailable, with the processes
// that have copies, until it does not.

// grant notes the holder of the group's device. Only one has it at a time, and only a fresh one.
func (g *iommuGroup) grant(c irq.Claim) error {
	if c.Access != irq.AccessDevice || g.grantee != nil && g.grantee.Connection == c.Connection {
		return nil
	}
	e := &irq.Error{Code: irq.ErrBusy, Operation: "connect", Vector: c.Vector, Reason: irq.ReasonDeviceGranted}
	switch {
	case g.grantee != nil:
		e.Detail = "another function of IOMMU group " + g.number + " is granted as a device, and both would share one memory"
		e.Conflicts = []irq.Conflict{{Vector: g.grantee.Vector, Reason: irq.ReasonDeviceGranted, Holders: []irq.Holder{g.grantee.Holder}}}
		e.Remedies = []string{"--access irq", "wait: ivt connect --wait"}
		return e
	case g.dirty:
		e.Detail = "a former holder of the device may have left memory mapped; that can be undone only when nobody is connected to it"
		e.Conflicts = g.conflicts()
		e.Remedies = []string{"--access irq", "let the others disconnect first"}
		return e
	}
	g.grantee, g.dirty = &c, true
	return g.keep()
}

// conflicts lists all claims on the group.
func (g *iommuGroup) conflicts() (all []irq.Conflict) {
	for _, m := range g.members {
		for v, w := range m.wires {
			for _, c := range w.claims {
				all = append(all, irq.Conflict{Vector: v, Reason: irq.ReasonHeld, Holders: []irq.Holder{c.Holder}})
			}
		}
	}
	return all
}

// keep keeps the state of every member.
func (g *iommuGroup) keep() (err error) {
	for _, m := range g.members {
		if m.device >= 0 {
			err = errors.Join(err, m.keepDevice())
		}
	}
	return err
}

// ungrant notes that a claim has ended. When it was the last of a device grant the device is made quiet; when it was
// the last that kept a used device from being renewed, that is to be done now, and nobody is connected meanwhile.
func (g *iommuGroup) ungrant(c irq.Claim) *taking {
	if g.grantee != nil && g.grantee.Connection == c.Connection && !g.has(c.Connection) {
		g.grantee = nil
		g.quiet()
	}
	if g.grantee != nil || !g.dirty || g.claims() > 0 || g.taking != nil {
		return nil
	}
	g.taking = &taking{stop: make(chan struct{}), done: make(chan struct{}), known: make(chan struct{})}
	return g.taking
}

// has reports whether a connection has a claim in the group.
func (g *iommuGroup) has(connection string) bool {
	for _, m := range g.members {
		for _, w := range m.wires {
			for _, c := range w.claims {
				if c.Connection == connection {
					return true
				}
			}
		}
	}
	return false
}

// quiet makes the device of a holder who has left do nothing more: no DMA, no interrupts of its own accord. Others who
// are connected are rung, in doubt (rule 9).
func (g *iommuGroup) quiet() {
	for _, m := range g.members {
		if m.device < 0 {
			continue
		}
		m.reset()
		for _, w := range m.wires {
			if len(w.claims) > 0 {
				m.port.Ring(w.index, w.start) // ENODEV: it has left
			}
		}
	}
	switch {
	case g.container < 0:
	case g.way == wayCdev:
		kernel.UnmapIOAS(g.container, g.ioas) // ENOENT: nothing was mapped
		for _, m := range g.members {
			kernel.AttachIOAS(m.device, g.ioas) // away from an address space that the holder made
		}
	default:
		kernel.UnmapAllDMA(g.container) // EINVAL before 5.12: closing the container does it
	}
}

// renew closes and opens everything, which proves that nobody else has a copy: the kernel lets a group be opened only when
// its last descriptor is closed.
func (g *iommuGroup) renew() error {
	for _, m := range g.members {
		if m.device < 0 {
			continue
		}
		m.config.Keep.Drop(deviceKey) // the keeper's copies are not strays
		released(m.config.Keep)
		if strays := straysOf(m.device); len(strays) > 0 {
			return m.strayRefusal(strays)
		}
	}
	if g.container >= 0 {
		for _, m := range g.members {
			m.closeDevice()
		}
		g.close()
	}
	for _, m := range g.members {
		if err := m.reopen(); err != nil {
			return err
		}
	}
	g.dirty = false
	return g.keep()
}

// systemd closes what its descriptor store is to forget a little later, in a process of its own.
const (
	closing      = 500 * time.Millisecond
	closingPause = 2 * time.Millisecond
)

// reopen opens a function that was closed in order to be renewed.
func (s *vfio) reopen() error {
	if s.device >= 0 {
		return nil
	}
	err := s.openDevice()
	for end := time.Now().Add(closing); errors.Is(err, irq.ErrAlreadyConnected) && time.Now().Before(end); err = s.openDevice() {
		time.Sleep(closingPause)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, irq.ErrAlreadyConnected) {
		return s.strayRefusal([]irq.Holder{{Kind: irq.HolderUnknown,
			Label: "no process that may be looked into has a copy: it may be in flight between processes"}})
	}
	return fmt.Errorf("open %s again after its device grant: %w", s.config.Name, err)
}

func (s *vfio) strayRefusal(holders []irq.Holder) *irq.Error {
	v := irq.Vector{Source: s.config.Name}
	return &irq.Error{Code: irq.ErrAlreadyConnected, Operation: "connect", Vector: v, Reason: irq.ReasonForeignHolds,
		Detail:    "the device was granted, and a copy of its descriptor is still open",
		Conflicts: []irq.Conflict{{Vector: v, Reason: irq.ReasonForeignHolds, Holders: holders}},
		Remedies:  []string{"end the processes that have a copy; the vectors are free as soon as the last one is closed"}}
}

// The pauses between attempts to renew a group. Most copies are gone in a moment: with the process that just ended, or in
// the queue of the keeper. Until patience is over, who connects waits and nobody is told.
const (
	firstRetry = time.Millisecond
	lastRetry  = time.Second
	patience   = 100 * time.Millisecond
)

// A taking is a group being taken back from a device holder. Its channels are closed when it is to end, when it has ended, and
// when why is known to the registry or there is none.
type taking struct {
	stop, done, known chan struct{}
	why               error // of the latest attempt; guarded by the group's lock
}

// takeBack renews the group. If that takes long the vectors become unavailable, and a goroutine goes on until the copies are
// gone or the group is closed.
func (g *iommuGroup) takeBack(t *taking) {
	pause := firstRetry
	for waited := time.Duration(0); waited < patience; waited, pause = waited+pause, 2*pause {
		if g.attempt(t) {
			close(t.known)
			close(t.done)
			return
		}
		if !t.sleep(pause) {
			break
		}
	}
	g.setUnavailable(t)
	close(t.known)
	go g.goOn(t, pause)
}

func (g *iommuGroup) goOn(t *taking, pause time.Duration) {
	defer close(t.done)
	for t.sleep(pause) {
		if g.attempt(t) {
			g.setUnavailable(nil)
			return
		}
		pause = min(2*pause, lastRetry)
	}
}

// sleep reports false if there is no use in going on.
func (t *taking) sleep(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-t.stop:
		return false
	case <-timer.C:
		return true
	}
}

// attempt renews the group once, and reports whether that was it.
func (g *iommuGroup) attempt(t *taking) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.taking != t {
		return true
	}
	if t.why = g.renew(); t.why == nil {
		g.taking = nil
	}
	return t.why == nil
}

// stopTaking ends it, without the lock held.
func (g *iommuGroup) stopTaking() {
	g.mu.Lock()
	t := g.taking
	g.taking = nil
	g.mu.Unlock()
	if t != nil {
		close(t.stop)
		<-t.done
	}
}

// await waits while it is not yet known whether the group can be had back at once.
func (g *iommuGroup) await(ctx context.Context) {
	g.mu.Lock()
	t := g.taking
	g.mu.Unlock()
	if t != nil {
		select {
		case <-t.known:
		case <-ctx.Done():
		}
	}
}

// setUnavailable tells the registry, without the lock: it may connect somebody who waited.
func (g *iommuGroup) setUnavailable(t *taking) {
	g.mu.Lock()
	members := slices.Clone(g.members)
	var e *irq.Error
	if t != nil && !errors.As(t.why, &e) {
		e = &irq.Error{Code: irq.ErrNotConnected, Operation: "connect", Reason: irq.ReasonSourceGone, Detail: "the device cannot be opened again", Err: t.why}
	}
	g.mu.Unlock()
	for _, m := range members {
		for _, group := range m.spec.Groups {
			for i := range group.Count {
				m.lines.SetUnavailable(irq.Vector{Source: m.spec.Name, Type: group.Type, Index: i}, e)
			}
		}
	}
}
