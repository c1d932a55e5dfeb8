package ivt

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
)

// epolled waits for any number of vectors in one epoll, which is itself in Go's poller, or in which a
// dedicated thread blocks.
type epolled struct {
	slots      []slot
	generation uint64
	block      bool
	pace       pace // of a thread that blocks
	epoll      *kernel.Epoll
	wake       int // an eventfd that ends the waiting

	ready [16]kernel.Ready
	have  int // of ready, those not looked at yet are ready[next:have]
	next  int
	data  [room]byte

	mu     sync.Mutex
	users  int // of the descriptors; the last one closes them after closed
	closed bool
}

// wakeKey is the key of wake in the epoll; those of the slots are their numbers.
const wakeKey = 1 << 32

func newEpolled(slots []slot, generation uint64, block bool) (*epolled, error) {
	e := &epolled{slots: slots, generation: generation, block: block}
	var err error
	if e.wake, err = kernel.Eventfd(); err != nil {
		return nil, err
	}
	if e.epoll, err = kernel.NewEpoll(); err != nil {
		return nil, errors.Join(err, kernel.Close(e.wake))
	}
	err = e.epoll.Add(e.wake, kernel.EventIn, wakeKey)
	for i := range slots {
		err = errors.Join(err, e.epoll.Add(slots[i].fd, kernel.EventIn, uint64(i)))
	}
	if err != nil {
		return nil, errors.Join(err, e.epoll.Close(), kernel.Close(e.wake))
	}
	return e, nil
}

// enter keeps the descriptors open until leave.
func (e *epolled) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.users++
	return true
}

func (e *epolled) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.users--
	e.closeUnused()
}

func (e *epolled) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.closed = true
	kernel.WriteEventfd(e.wake, 1) // EAGAIN: it is as awake as can be
	e.closeUnused()
}

// closeUnused closes the descriptors once nobody uses them: their numbers must not become other files' before.
func (e *epolled) closeUnused() {
	if !e.closed || e.users > 0 {
		return
	}
	closeQuietly(e.epoll)
	kernel.Close(e.wake)
	for i := range e.slots {
		e.slots[i].closeLine()
	}
}

func (e *epolled) under(ctx context.Context) (release func()) {
	if ctx.Done() == nil || !e.enter() {
		return func() {}
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		kernel.WriteEventfd(e.wake, 1)
		close(fired)
	})
	return func() {
		if !stop() {
			<-fired
			kernel.ReadEventfd(e.wake)
		}
		e.leave()
	}
}

func (e *epolled) wait() (Interrupt, error) {
	if !e.enter() {
		return Interrupt{}, os.ErrClosed
	}
	defer e.leave()
	for {
		for e.next < e.have {
			r := e.ready[e.next]
			e.next++
			if r.Key == wakeKey {
				return Interrupt{}, os.ErrDeadlineExceeded
			}
			if i, err := e.read(&e.slots[r.Key]); !errors.Is(err, syscall.EAGAIN) {
				return i, err
			}
		}
		if err := e.gather(); err != nil {
			return Interrupt{}, err
		}
	}
}

func (e *epolled) gather() (err error) {
	wait := e.epoll.Wait
	if e.block {
		e.pace.keep()
		wait = e.epoll.Block
	}
	e.next = 0
	e.have, err = wait(e.ready[:])
	return err
}

// read takes one interrupt of a slot, without waiting.
func (e *epolled) read(s *slot) (Interrupt, error) {
	if s.delivery == irq.DeliveryEventfd {
		count, err := kernel.ReadEventfd(s.fd)
		if err != nil {
			return Interrupt{}, err
		}
		return s.counted(count), nil
	}
	n, err := kernel.Receive(s.fd, e.data[:])
	if err != nil {
		return Interrupt{}, err
	}
	return s.decode(e.data[:n])
}

func (e *epolled) acknowledge(i Interrupt, handled bool) error {
	if !e.enter() {
		return os.ErrClosed
	}
	defer e.leave()
	s := &e.slots[i.Slot]
	if s.delivery == irq.DeliveryEventfd {
		return s.unmaskLine()
	}
	var b [record.AckSize]byte
	return kernel.Send(s.fd, acknowledgement(e.generation, i, handled).Append(b[:0]))
}
