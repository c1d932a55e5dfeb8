//go:build linux

package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/irq"
)

// deviceKey is what the function's descriptors are kept under: device, container and, if there is one, group.
const deviceKey = "device"

// eventfd is the key of a claim's descriptors in a Keep.
func (k claimKey) eventfd() string {
	return fmt.Sprintf("eventfd/%s/%d/%s/%d", k.vector.Type, k.vector.Index, k.connection, k.generation)
}

// keptDevice is the value beside them: what the kernel cannot be asked.
type keptDevice struct {
	Way  string `json:"way"`
	Mode string `json:"mode,omitempty"`
	Size int    `json:"size,omitempty"`
	IOAS uint32 `json:"ioas,omitempty"`
	// Dirty: a device grant has been out, so that container and descriptors are not fresh.
	Dirty    bool   `json:"dirty,omitempty"`
	Instance string `json:"instance"`
	ID       string `json:"id"` // vendor and device: what is there now must be what was there then
}

func (f pciFunction) id() string { return f.attrs["vendor"] + ":" + f.attrs["device"] }

// keepDevice keeps the function's descriptors with their present state.
func (s *vfio) keepDevice() error {
	g := s.group
	value, err := json.Marshal(keptDevice{Way: g.way, Mode: s.mode, Size: s.size, IOAS: g.ioas, Dirty: g.dirty, Instance: s.config.Instance, ID: s.f.id()})
	if err != nil {
		return err
	}
	fds := []int{s.device, g.container}
	if g.file >= 0 {
		fds = append(fds, g.file)
	}
	if err := s.config.Keep.Put(deviceKey, value, fds...); err != nil {
		return fmt.Errorf("keep the descriptors of %s: %w", s.config.Name, err)
	}
	return nil
}

// forgetDevice lets go of what is kept of the function, but for streams.
func (s *vfio) forgetDevice() {
	s.config.Keep.Drop(deviceKey)
	for _, n := range noticeKeys {
		s.config.Keep.Drop(n.key)
	}
	s.config.Keep.Drop(collectorKey)
	released(s.config.Keep) // whoever takes the device next finds it closed
}

// inherit takes over the function from a former process: nothing is opened, nothing re-issued (re-issuing loses
// interrupts, facts are in ARCHITECTURE.md). It reports false if there is nothing to take over, and the function is opened anew.
func (s *vfio) inherit() bool {
	kept, ok := s.streams.take(deviceKey)
	var k keptDevice
	if !ok || json.Unmarshal(kept.Value, &k) != nil || !s.fits(k, kept.FDs) {
		closeAll(kept.FDs)
		return false
	}
	g := s.group
	s.config.Instance = k.Instance
	s.device, s.port, s.mode, s.size = kept.FDs[0], devicePort(kept.FDs[0]), k.Mode, k.Size
	g.dirty = g.dirty || k.Dirty
	if g.container >= 0 { // another function of the group brought it already
		closeAll(kept.FDs[1:])
	} else {
		g.container, g.ioas = kept.FDs[1], k.IOAS
		if len(kept.FDs) > 2 {
			g.file = kept.FDs[2]
		}
	}
	for _, n := range noticeKeys {
		if kept, ok := s.streams.take(n.key); ok && len(kept.FDs) == 1 {
			if s.hear(kept.FDs[0]) != nil {
				continue // it is closed; unplugging is then heard by uevent only
			}
		} else {
			closeAll(kept.FDs)
		}
	}
	return true
}

// fits reports whether what was kept is of this function and complete.
func (s *vfio) fits(k keptDevice, fds []int) bool {
	want := 3
	if k.Way == wayCdev {
		want = 2
	}
	return len(fds) == want && k.Way == s.group.way && k.ID == s.f.id()
}

// Adopt takes over a claim that a former process had wired.
func (s *vfio) Adopt(c irq.Claim) (irq.Handler, error) {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.device < 0 || s.mode != c.Vector.Type {
		return nil, notKept(c)
	}
	if c.Access == irq.AccessDevice && g.grantee == nil {
		g.grantee, g.dirty = &c, true
	}
	w := s.wireOf(c.Vector)
	handler, err := s.adoptWire(w, c)
	if err == nil {
		w.claims = append(w.claims, c)
	}
	return handler, err
}

func (s *vfio) adoptWire(w *wire, c irq.Claim) (irq.Handler, error) {
	if c.Vector.Type == "intx" && c.Shared {
		if err := s.adoptCollector(w, c); err != nil {
			return nil, err
		}
		return s.streams.Adopt(c, true)
	}
	kept, ok := s.streams.take(keyOf(c).eventfd())
	want := 1
	if c.Vector.Type == "intx" {
		want = 2
	}
	if !ok || len(kept.FDs) != want {
		closeAll(kept.FDs)
		return nil, notKept(c)
	}
	w.eventfd = kept.FDs[0]
	if want == 2 {
		w.unmask = kept.FDs[1]
	}
	return nil, nil
}

// adoptCollector takes over our eventfd of a shared line, for the first of its sharers.
func (s *vfio) adoptCollector(w *wire, c irq.Claim) error {
	if w.key != 0 {
		return nil
	}
	kept, ok := s.streams.take(collectorKey)
	if !ok || len(kept.FDs) != 1 {
		closeAll(kept.FDs)
		return notKept(c)
	}
	w.eventfd = kept.FDs[0]
	if err := s.listenTo(w, c.Vector, w.eventfd); err != nil {
		w.close(s.streams.relay)
		return err
	}
	return nil
}

func notKept(c irq.Claim) error {
	return &irq.Error{Code: irq.ErrNotConnected, Operation: "adopt", Vector: c.Vector, Reason: irq.ReasonClosed,
		Detail: "its descriptors were not kept across the restart", Remedies: []string{"connect again"}}
}

// Settle parks what a former process had wired for claims that nobody has adopted.
func (s *vfio) Settle() error {
	s.streams.Settle()
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	var failed error
	for name, kept := range s.streams.takeAll("eventfd/") {
		if v, ok := s.keptVector(name); ok && v.Type == s.mode {
			if w := s.wireOf(v); len(w.claims) == 0 {
				failed = errors.Join(failed, s.park(w))
			}
		}
		closeAll(kept.FDs)
		s.config.Keep.Drop(name)
	}
	return failed
}

// keptVector reads the vector from a key of eventfd. One that is damaged names none that the function has.
func (s *vfio) keptVector(key string) (v irq.Vector, ok bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 5 {
		return irq.Vector{}, false
	}
	n, err := strconv.Atoi(parts[2])
	if err != nil || n < 0 || n >= int(s.info[parts[1]].Count) {
		return irq.Vector{}, false
	}
	return irq.Vector{Source: s.config.Name, Type: parts[1], Index: n}, true
}
