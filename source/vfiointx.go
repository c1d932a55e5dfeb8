//go:build linux

package source

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// INTx is a level line. The kernel masks it at each interrupt; whoever has handled it unmasks. A sole holder does
// both without us: an eventfd to read, another to write when done, each for one generation only. Several
// holders get streams, fed from an eventfd of ours, and the line is unmasked when all have acknowledged (rule 8).

// wireLine connects a sole holder.
func (s *vfio) wireLine(w *wire, c irq.Claim) error {
	fd, err := kernel.ClientEventfd()
	if err != nil {
		return fmt.Errorf("connect %s: %w", c.Vector, err)
	}
	unmask, err := kernel.ClientEventfd()
	if err == nil {
		err = s.config.Keep.Put(keyOf(c).eventfd(), nil, fd, unmask)
	} else {
		unmask = -1
	}
	if err == nil {
		err = s.pointLine(c.Vector, w, fd, unmask)
	}
	if err != nil {
		s.discard(c, fd, unmask)
		return fmt.Errorf("connect %s: %w", c.Vector, err)
	}
	w.eventfd, w.unmask = fd, unmask
	return nil
}

// pointLine is the order that loses nothing and lets nobody through: cut the former holder's unmask, re-point, give
// the new one its unmask, unmask (a level that is still high fires again at once), and ring, which the registry does.
func (s *vfio) pointLine(v irq.Vector, w *wire, fd, unmask int) error {
	if err := s.cutUnmask(w); err != nil {
		return err
	}
	if err := s.point(v, w, fd); err != nil {
		return err
	}
	if unmask >= 0 {
		if err := s.port.UnmaskBy(w.index, w.start, unmask); err != nil {
			return errors.Join(err, s.park(w))
		}
	}
	return s.port.Unmask(w.index, w.start)
}

// cutUnmask takes from the former holder the power to unmask. EINVAL: the line is not enabled, so there is none.
func (s *vfio) cutUnmask(w *wire) error {
	if err := s.port.UnmaskBy(w.index, w.start, -1); err != nil && !isErrno(err, syscall.EINVAL) {
		return fmt.Errorf("cut the former unmask eventfd: %w", err)
	}
	return nil
}

// wireSharer connects one more holder who asked to share; the first one brings our eventfd.
func (s *vfio) wireSharer(w *wire, c irq.Claim) (irq.Handler, error) {
	handler, err := s.streams.Wire(c, true)
	if err != nil {
		return nil, err
	}
	if len(w.claims) == 0 {
		err = s.collect(c.Vector, w)
	}
	if err != nil {
		s.streams.Unwire(c)
		return nil, fmt.Errorf("connect %s: %w", c.Vector, err)
	}
	return handler, nil
}

// collectorKey is what our eventfd of a shared line is kept under.
const collectorKey = "collector"

// collect points the line to an eventfd of ours that the relay reads.
func (s *vfio) collect(v irq.Vector, w *wire) error {
	fd, err := kernel.Eventfd()
	if err != nil {
		return err
	}
	if err = s.config.Keep.Put(collectorKey, nil, fd); err == nil {
		err = s.listenTo(w, v, fd)
	}
	if err == nil {
		if err = s.pointLine(v, w, fd, -1); err != nil {
			s.streams.relay.remove(fd, w.key)
			w.key = 0
		}
	}
	if err != nil {
		s.config.Keep.Drop(collectorKey)
		kernel.Close(fd)
		return err
	}
	w.eventfd = fd
	return nil
}

func (s *vfio) listenTo(w *wire, v irq.Vector, fd int) (err error) {
	w.key, err = s.streams.relay.add(fd, kernel.EventIn, &collector{s: s, line: s.lines.Line(v.Type, v.Index), fd: fd, wire: w})
	return err
}

// A collector is our eventfd of a shared line, as a port of the relay.
type collector struct {
	s    *vfio
	line *irq.Line
	fd   int
	wire *wire
}

// ready passes on what the kernel counted. The line is masked by then; the registry unmasks it by SetMask.
func (c *collector) ready(*kernel.Batch, uint32) {
	c.s.group.mu.Lock()
	var n uint64
	if c.wire.eventfd == c.fd && c.wire.key != 0 { // else it was closed, and the number may be another file's
		n, _ = kernel.ReadEventfd(c.fd) // EAGAIN: nothing
	}
	c.s.group.mu.Unlock()
	if n > 0 {
		c.line.RaiseInterrupt(irq.Interrupt{Count: n, Time: kernel.Monotonic()})
	}
}
