package ivt

import (
	"context"
	"os"
	"sync"

	"github.com/ivtd/ivt/internal/kernel"
)

// direct waits for one eventfd in read(2) itself, with a thread that blocks there: one system call a wake-up, and nothing
// between the kernel's signal and the driver.
//
// Nothing but its count ends a read of an eventfd. So who ends the waiting adds one to it, under the lock, once, and only while
// somebody reads; and who read, takes one off. Should our one have come too late for that read, it stands in the eventfd for an
// interrupt that was taken off. So none is lost or made up.
type direct struct {
	slot slot
	pace pace

	mu      sync.Mutex // of what follows
	reading bool       // somebody does, of whom there is one at a time; the descriptors stay open for it
	nudged  bool       // one of what was read, or is in the eventfd, is ours
	expired bool       // the context of who waits is over
	closed  bool
}

// newDirect takes a slot over. An eventfd comes from ivtd blocking, but the flag is that of every copy, and who had it before in
// this program may have changed it.
func newDirect(s slot) (*direct, error) {
	if err := kernel.SetBlocking(s.fd); err != nil {
		return nil, err
	}
	return &direct{slot: s}, nil
}

func (d *direct) wait() (Interrupt, error) {
	d.pace.keep()
	if err := d.begin(); err != nil {
		return Interrupt{}, err
	}
	count, err := kernel.AwaitEventfd(d.slot.fd)
	if count, err = d.finish(count, err); err != nil {
		return Interrupt{}, err
	}
	return d.slot.counted(count), nil
}

// begin is before reading: from here on it is ended by a nudge.
func (d *direct) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return os.ErrClosed
	case d.expired:
		return os.ErrDeadlineExceeded
	}
	d.reading = true
	return nil
}

// finish is after reading count, which is at least one. It returns how many interrupts that is, or why it ended without any.
func (d *direct) finish(count uint64, err error) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading = false
	d.closeUnused()
	switch {
	case d.closed:
		return 0, os.ErrClosed
	case err != nil:
		return 0, err
	case d.nudged:
		d.nudged = false
		count--
	}
	if count == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return count, nil
}

// nudge ends the read of who is in it. It does not block: as long as the eventfd is not full the kernel takes it at once, and
// then the read ends anyway.
func (d *direct) nudge() {
	if d.reading && !d.nudged {
		d.nudged = kernel.WriteEventfd(d.slot.fd, 1) == nil
	}
}

func (d *direct) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.closed = true
	d.nudge()
	d.closeUnused()
}

// closeUnused closes the descriptors once nobody reads: their numbers must not become other files' before.
func (d *direct) closeUnused() {
	if d.closed && !d.reading {
		d.slot.closeLine()
	}
}

func (d *direct) under(ctx context.Context) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		d.expire(true)
		close(fired)
	})
	return func() {
		if !stop() {
			<-fired
			d.expire(false)
		}
	}
}

func (d *direct) expire(expired bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.expired = expired; expired {
		d.nudge()
	}
}

func (d *direct) acknowledge(Interrupt, bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return os.ErrClosed
	}
	return d.slot.unmaskLine()
}
