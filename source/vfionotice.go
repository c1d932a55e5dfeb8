//go:build linux

package source

import (
	"fmt"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
)

// A kernelNotice is an eventfd by which the kernel speaks to whoever has the function: REQ (it wants the function
// back: an unbind or unplug waits until every descriptor is closed) or ERR (an uncorrectable error). Somebody must
// hold REQ, or the unbind blocks without a word.
type kernelNotice struct {
	s   *vfio
	fd  int
	key uint64
}

// requestKey ends the key of REQ, under which a keeper of descriptors finds it while no worker runs: its value is the
// prefix of all that holds the function.
const requestKey = "req"

var noticeKeys = []struct {
	index int
	key   string
}{{kernel.VFIOReq, requestKey}, {kernel.VFIOErr, "err"}}

// listen has the kernel tell us of requests and errors.
func (s *vfio) listen() error {
	for _, n := range noticeKeys {
		fd, err := kernel.Eventfd()
		if err != nil {
			return fmt.Errorf("listen to the kernel for %s: %w", s.config.Name, err)
		}
		if _, err := s.port.Trigger(n.index, 0, fd); err != nil {
			kernel.Close(fd)
			if isErrno(err, syscall.EINVAL) || isErrno(err, syscall.ENOTTY) {
				continue // the function has none such: ERR is of PCI Express only
			}
			return fmt.Errorf("listen to the kernel for %s: %w", s.config.Name, err)
		}
		if err := s.hear(fd); err != nil {
			return err
		}
		if err := s.config.Keep.Put(n.key, []byte(prefixOf(s.config.Keep)), fd); err != nil {
			return fmt.Errorf("keep %s of %s: %w", n.key, s.config.Name, err)
		}
	}
	return nil
}

func prefixOf(k Keep) string {
	if p, ok := k.(Prefixing); ok {
		return p.Prefix()
	}
	return ""
}

// hear puts one such eventfd into the relay.
func (s *vfio) hear(fd int) (err error) {
	n := &kernelNotice{s: s, fd: fd}
	if n.key, err = s.streams.relay.add(fd, kernel.EventIn, n); err != nil {
		kernel.Close(fd)
		return fmt.Errorf("listen to the kernel for %s: %w", s.config.Name, err)
	}
	s.notices = append(s.notices, n)
	return nil
}

// ready: whatever the kernel says, the function is leaving. It stays readable, so it is heard once only.
func (n *kernelNotice) ready(*kernel.Batch, uint32) {
	n.s.group.mu.Lock()
	if n.key != 0 {
		n.s.streams.relay.remove(n.fd, n.key)
		n.key = 0
	}
	n.s.group.mu.Unlock()
	n.s.leave()
}

func (n *kernelNotice) close() {
	if n.key != 0 {
		n.s.streams.relay.remove(n.fd, n.key)
		n.key = 0
	}
	kernel.Close(n.fd)
	n.fd = -1
}
