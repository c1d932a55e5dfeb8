//go:build linux

package source

import (
	"fmt"
	"sync"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
)

// A bell is one raiser's doorbell of one vector: what comes in on our end raises the vector's line. It
// belongs to the raiser, not to who holds the vector, and ends with the raiser's process: copies that
// its children have then ring nothing any more (rule 6).
type bell struct {
	name  string // its key in the Keep
	relay *relay
	line  *irq.Line
	ended func() // called once, when nobody can ring any more

	mu     sync.Mutex
	in     inlet
	theirs int
	pidfd  int // -1 if the raiser has no process that can be watched
	keys   [2]uint64
}

// bellQueue is what a raiser may ring ahead of the relay, before its own send waits or gets EAGAIN.
const bellQueue = 64 << 10

// newBell makes a doorbell, which start makes ring.
func newBell(r *relay, line *irq.Line) (*bell, error) {
	in, theirs, err := newInlet(bellQueue, false)
	if err != nil {
		return nil, err
	}
	b := &bell{relay: r, line: line, in: in, theirs: theirs, pidfd: -1}
	if err := kernel.SetSendBuffer(theirs, bellQueue); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// start listens, or closes the doorbell.
func (b *bell) start(raiser irq.Holder) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.watch(raiser)
	if err != nil {
		b.release()
	}
	return err
}

// copy returns a copy of the raiser's half, or EBADF after the end.
func (b *bell) copy() (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.in.fd < 0 {
		return -1, syscall.EBADF
	}
	return kernel.Duplicate(b.theirs)
}

// watch has the relay listen to the socket and to the raiser's death.
func (b *bell) watch(raiser irq.Holder) (err error) {
	if raiser.PID > 0 {
		if b.pidfd, err = kernel.OpenProcess(raiser.PID); err != nil {
			b.pidfd = -1
			return fmt.Errorf("watch process %d: %w", raiser.PID, err)
		}
		if b.keys[1], err = b.relay.add(b.pidfd, kernel.EventIn, (*raiserDeath)(b)); err != nil {
			return err
		}
	}
	b.keys[0], err = b.relay.add(b.in.fd, kernel.EventIn, b)
	return err
}

// ready raises the line once for all that was rung since, and says how many.
func (b *bell) ready(batch *kernel.Batch, _ uint32) {
	if !b.raise(batch) {
		b.end()
	}
}

// raise passes one turn on, and reports whether more can come.
func (b *bell) raise(batch *kernel.Batch) (open bool) {
	count, open := b.rung(batch)
	if count > 0 {
		b.line.RaiseInterrupt(irq.Interrupt{Count: count, Time: kernel.Monotonic()})
	}
	return open
}

// rung takes one turn's records. Garbage rings nothing. After the end it returns false.
func (b *bell) rung(batch *kernel.Batch) (count uint64, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.in.fd < 0 {
		return 0, false
	}
	open = b.in.receive(batch, func(data []byte) {
		if n, err := record.DecodeBell(data); err == nil {
			count += n
		}
	})
	return count, open
}

// raiserDeath is the bell as the port of its raiser's pidfd.
type raiserDeath bell

// ready settles the doorbell of a dead raiser: what it rang before it died still counts.
func (d *raiserDeath) ready(batch *kernel.Batch, _ uint32) {
	b := (*bell)(d)
	b.mu.Lock()
	if b.in.fd >= 0 {
		kernel.Shutdown(b.in.fd) // children stop here
	}
	b.mu.Unlock()
	for b.raise(batch) {
	}
	b.end()
}

// end closes the doorbell and tells its owner.
func (b *bell) end() {
	if b.close() && b.ended != nil {
		b.ended()
	}
}

// close revokes every copy of the doorbell and reports whether it was open.
func (b *bell) close() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.in.fd < 0 {
		return false
	}
	b.release()
	return true
}

func (b *bell) release() {
	b.relay.remove(b.in.fd, b.keys[0])
	b.in.close()
	kernel.Close(b.theirs)
	if b.pidfd >= 0 {
		b.relay.remove(b.pidfd, b.keys[1])
		kernel.Close(b.pidfd)
	}
}
