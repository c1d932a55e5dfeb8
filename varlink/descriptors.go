package varlink

import (
	"fmt"
	"os"
)

// maxDescriptors is how many descriptors one message carries (SCM_MAX_FD, unix(7)).
const maxDescriptors = 253

// Descriptors are the file descriptors that came with one message. By systemd's convention the
// message's parameters have their indexes, in members whose names end in FileDescriptor. They are
// close-on-exec; O_NONBLOCK is as the sender set it and shared with it. Whoever received them
// closes them; a nil *Descriptors has none. Not for concurrent use.
type Descriptors struct {
	fds []int // -1: taken
}

// received returns the descriptors of a message, nil if there are none.
func received(fds []int) *Descriptors {
	if len(fds) == 0 {
		return nil
	}
	return &Descriptors{fds: fds}
}

// Len says how many came.
func (d *Descriptors) Len() int {
	if d == nil {
		return 0
	}
	return len(d.fds)
}

// Take gives one descriptor away, which the caller then closes. The index comes from the peer: one
// that is out of range or was taken before is an error.
func (d *Descriptors) Take(index int) (int, error) {
	if index < 0 || index >= d.Len() {
		return -1, fmt.Errorf("varlink: descriptor %d of a message with %d", index, d.Len())
	}
	fd := d.fds[index]
	if fd < 0 {
		return -1, fmt.Errorf("varlink: descriptor %d of the message was taken before", index)
	}
	d.fds[index] = -1
	return fd, nil
}

// File is Take for an *os.File.
func (d *Descriptors) File(index int, name string) (*os.File, error) {
	fd, err := d.Take(index)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Close closes those that were not taken. It may be called more than once.
func (d *Descriptors) Close() {
	if d == nil {
		return
	}
	for i, fd := range d.fds {
		if fd >= 0 {
			discard(fd)
		}
		d.fds[i] = -1
	}
}
