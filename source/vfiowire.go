//go:build linux

package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// A wire is one vector that somebody has or had. The kernel signals its eventfd; when nobody has it, its sink.
type wire struct {
	index, start int // VFIO's numbers of the vector
	claims       []irq.Claim
	eventfd      int    // the holder's, or ours that feeds the streams of sharers; -1 if nobody has the vector
	unmask       int    // the holder's of an INTx; else -1
	sink         int    // -1 until it is parked
	key          uint64 // in the relay, when the eventfd is ours
}

// release closes what the holder had.
func (w *wire) release(r *relay) {
	if w.key != 0 {
		r.remove(w.eventfd, w.key)
		w.key = 0
	}
	closeOnce(&w.eventfd, &w.unmask)
}

func (w *wire) close(r *relay) {
	w.release(r)
	closeOnce(&w.sink)
}

func closeOnce(fds ...*int) {
	for _, fd := range fds {
		if *fd >= 0 {
			kernel.Close(*fd)
		}
		*fd = -1
	}
}

// wireOf returns the wire of a vector, a new one if it never had any.
func (s *vfio) wireOf(v irq.Vector) *wire {
	w := s.wires[v]
	if w == nil {
		w = &wire{index: indexOf(v.Type), start: v.Index, eventfd: -1, unmask: -1, sink: -1}
		s.wires[v] = w
	}
	return w
}

// Wire points the vector to a new descriptor of the claim's, or adds a sharer to a line.
func (s *vfio) Wire(ctx context.Context, c irq.Claim) (irq.Handler, error) {
	g := s.group
	g.await(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := s.ready(c); err != nil {
		return nil, err
	}
	if err := g.grant(c); err != nil {
		return nil, err
	}
	handler, err := s.connect(c)
	if err != nil {
		g.ungrant(c)
		return nil, err
	}
	w := s.wireOf(c.Vector)
	w.claims = append(w.claims, c)
	return handler, nil
}

// ready refuses what cannot be wired now.
func (s *vfio) ready(c irq.Claim) error {
	select {
	case <-s.gone:
		return s.sourceGone("connect", c.Vector, nil)
	default:
	}
	if r := s.group.taking; r != nil {
		return r.why
	}
	return s.enable(c.Vector)
}

func (s *vfio) sourceGone(operation string, v irq.Vector, err error) error {
	return &irq.Error{Code: irq.ErrNotConnected, Operation: operation, Vector: v, Reason: irq.ReasonSourceGone, Err: err,
		Detail: "the device is leaving or has left", Remedies: []string{"plug it in again, or bind it to vfio-pci again"}}
}

func (s *vfio) connect(c irq.Claim) (irq.Handler, error) {
	w := s.wireOf(c.Vector)
	switch {
	case c.Vector.Type == "intx" && c.Shared:
		return s.wireSharer(w, c)
	case c.Vector.Type == "intx":
		return nil, s.wireLine(w, c)
	}
	return nil, s.wireMessage(w, c)
}

// wireMessage connects an MSI or MSI-X vector. The registry rings one that somebody had before, after the new
// wiring (rule 9): what was raised meanwhile, or fell between two wirings, is then not slept through.
func (s *vfio) wireMessage(w *wire, c irq.Claim) (err error) {
	fd, err := kernel.ClientEventfd()
	if err == nil {
		err = s.config.Keep.Put(keyOf(c).eventfd(), nil, fd)
	}
	if err == nil {
		err = s.point(c.Vector, w, fd)
	}
	if err != nil {
		s.discard(c, fd)
		return fmt.Errorf("connect %s: %w", c.Vector, err)
	}
	w.eventfd = fd
	return nil
}

// discard undoes what a failed wiring had made.
func (s *vfio) discard(c irq.Claim, fds ...int) {
	s.config.Keep.Drop(keyOf(c).eventfd())
	for _, fd := range fds {
		if fd >= 0 {
			kernel.Close(fd)
		}
	}
}

// point makes the kernel signal fd from now on. A shortage of the host's is ErrNoResources.
func (s *vfio) point(v irq.Vector, w *wire, fd int) error {
	short, err := s.port.Trigger(w.index, w.start, fd)
	switch {
	case short > 0:
		return noResources(v, 1, short, "the host has no more interrupt vectors", nil)
	case isErrno(err, syscall.ENOSPC), isErrno(err, syscall.ENOMEM):
		return noResources(v, 1, 0, "the host has no more interrupt vectors", err)
	case isErrno(err, syscall.EBUSY) && v.Type == "intx":
		return s.lineBusy(v, err)
	case isErrno(err, syscall.ENODEV):
		return s.sourceGone("connect", v, err)
	}
	return err
}

// lineBusy is the one EBUSY that the kernel has for an interrupt line: a device that cannot mask itself does
// not share its line with the host's other devices.
func (s *vfio) lineBusy(v irq.Vector, err error) error {
	return &irq.Error{Code: irq.ErrAlreadyConnected, Operation: "connect", Vector: v, Reason: irq.ReasonKernelHolds,
		Detail: "a driver of the kernel has the same line, and this device cannot share it (no DisINTx)", Err: err,
		Conflicts: []irq.Conflict{{Vector: v, Reason: irq.ReasonKernelHolds, Holders: []irq.Holder{{Kind: irq.HolderUnknown, Label: "see /proc/interrupts for the device's irq"}}}},
		Remedies:  []string{"use msi or msix", "cat /sys/bus/pci/devices/" + s.f.address + "/irq, then ivt who irq:N"}}
}

func noResources(v irq.Vector, requested, free int, detail string, err error) error {
	return &irq.Error{Code: irq.ErrNoResources, Operation: "connect", Vector: v, Reason: irq.ReasonHostVectorsFull, Detail: detail,
		Requested: requested, Free: free, Err: err,
		Remedies: []string{"ivt doctor shows who uses the vectors", "lower the budget of other devices", "spread interrupts over more CPUs"}}
}

// Unwire takes the vector from the claim. When it returns nothing reaches its descriptors any more.
func (s *vfio) Unwire(c irq.Claim) error {
	taking, err := s.unwire(c)
	if taking != nil {
		s.group.takeBack(taking)
	}
	return err
}

// unwire does it under the lock. If the device is to be taken back from its holder now, it returns how.
func (s *vfio) unwire(c irq.Claim) (taking *taking, err error) {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	w := s.wires[c.Vector]
	if w == nil || !w.drop(c) {
		return nil, nil // taken down with the device
	}
	if s.streams.Unwire(c); len(w.claims) == 0 {
		err = s.park(w)
		w.release(s.streams.relay)
	}
	s.config.Keep.Drop(keyOf(c).eventfd())
	if err != nil {
		err = fmt.Errorf("disconnect %s: %w", c.Vector, err)
	}
	return g.ungrant(c), err
}

// drop removes a claim, and reports whether it was there.
func (w *wire) drop(c irq.Claim) bool {
	n := len(w.claims)
	w.claims = slices.DeleteFunc(w.claims, func(o irq.Claim) bool { return keyOf(o) == keyOf(c) })
	return len(w.claims) < n
}

// park points a vector that nobody has to the sink, so that nothing reaches its former holder: first cut
// the unmask that he holds, then re-point.
func (s *vfio) park(w *wire) (err error) {
	if s.device < 0 {
		return nil
	}
	if w.index == kernel.VFIOIntx {
		err = errors.Join(s.cutUnmask(w), s.port.Mask(w.index, w.start))
	}
	if w.sink < 0 {
		w.sink, _ = kernel.Eventfd() // -1 if there is none to be had: silence will do
	}
	if _, failed := s.port.Trigger(w.index, w.start, w.sink); failed != nil {
		_, failed = s.port.Trigger(w.index, w.start, -1)
		err = errors.Join(err, failed)
	}
	if isErrno(err, syscall.ENODEV) {
		return nil // it left, and its interrupts with it
	}
	return err
}

// Descriptors returns copies of what the holder of a claim gets.
func (s *vfio) Descriptors(c irq.Claim) (Descriptors, error) {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	w := s.wires[c.Vector]
	if w == nil {
		return Descriptors{}, notWired(c.Vector)
	}
	at := slices.IndexFunc(w.claims, func(o irq.Claim) bool { return keyOf(o) == keyOf(c) })
	if at < 0 {
		return Descriptors{}, notWired(c.Vector)
	}
	d := Descriptors{Delivery: irq.DeliveryEventfd, FD: w.eventfd, Unmask: w.unmask, Device: -1, Container: -1}
	if w.claims[at].Access == irq.AccessDevice {
		d.Device, d.Container = s.device, g.container
	}
	if w.key != 0 {
		fd, err := s.streams.end(c)
		if err != nil {
			return Descriptors{}, err
		}
		d.Delivery, d.FD = irq.DeliveryStream, fd
	}
	return d.copies()
}

// Unread returns what is in the holder's eventfd.
func (s *vfio) Unread(c irq.Claim) (uint64, error) {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	w := s.wires[c.Vector]
	if w == nil || w.key != 0 || !slices.ContainsFunc(w.claims, func(o irq.Claim) bool { return keyOf(o) == keyOf(c) }) {
		return 0, notWired(c.Vector)
	}
	return kernel.EventfdCount(w.eventfd)
}

// SetMask masks the line; the registry asks for it where the kernel can, and unmasks when all sharers have
// acknowledged (rule 8).
func (s *vfio) SetMask(v irq.Vector, masked bool) error {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	w := s.wires[v]
	if v.Type != "intx" {
		return &irq.Error{Code: irq.ErrNotSupported, Operation: "mask", Vector: v, Reason: irq.ReasonNotMaskable,
			Detail: "the kernel does not mask message-signalled interrupts for user space"}
	}
	if w == nil || len(w.claims) == 0 || s.device < 0 {
		return nil // parked lines stay masked until somebody is wired
	}
	if masked {
		return s.port.Mask(w.index, w.start)
	}
	return s.port.Unmask(w.index, w.start)
}

// Ring wakes the holder through the kernel: ivt never writes an eventfd that a client holds.
func (s *vfio) Ring(v irq.Vector) error { return s.Raise(v, 1) }

// maxSelfTest bounds the loop of a self-test.
const maxSelfTest = 1 << 16

// Raise tests a vector through the kernel's loopback, which signals its eventfd as the device would.
func (s *vfio) Raise(v irq.Vector, count uint64) error {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	w := s.wires[v]
	if w == nil || len(w.claims) == 0 || s.device < 0 {
		return &irq.Error{Code: irq.ErrNotConnected, Operation: "raise", Vector: v, Reason: irq.ReasonClosed,
			Detail: "nobody is connected: the kernel rings only what is wired", Remedies: []string{"ivt connect " + v.String()}}
	}
	if count > maxSelfTest {
		return &irq.Error{Code: irq.ErrInvalidParameter, Operation: "raise", Vector: v, Reason: irq.ReasonOutOfRange,
			Detail: fmt.Sprintf("a self-test rings at most %d times", maxSelfTest)}
	}
	for range count {
		if err := s.port.Ring(w.index, w.start); err != nil {
			return fmt.Errorf("ring %s through the kernel: %w", v, err)
		}
	}
	return nil
}
