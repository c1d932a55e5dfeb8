package ivt

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// polled waits for one vector in Go's poller: the goroutine sleeps and no thread does.
type polled struct {
	slot       slot
	generation uint64
	file       *os.File // of slot.fd, which it owns
	data       [room]byte

	mu     sync.Mutex // of what follows
	closed bool
	ack    []byte
}

func newPolled(s slot, generation uint64) *polled {
	return &polled{slot: s, generation: generation, file: os.NewFile(uintptr(s.fd), s.vector.String())}
}

func (p *polled) under(ctx context.Context) (release func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		p.file.SetReadDeadline(time.Unix(1, 0)) // ends the read; an error means that it is closed
		close(fired)
	})
	return func() {
		if !stop() {
			<-fired
			p.file.SetReadDeadline(time.Time{})
		}
	}
}

func (p *polled) wait() (Interrupt, error) {
	n, err := p.file.Read(p.data[:])
	if err != nil {
		return Interrupt{}, err
	}
	return p.slot.decode(p.data[:n])
}

func (p *polled) acknowledge(i Interrupt, handled bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return os.ErrClosed
	case p.slot.delivery == irq.DeliveryEventfd:
		return p.slot.unmaskLine()
	}
	p.ack = acknowledgement(p.generation, i, handled).Append(p.ack[:0])
	_, err := p.file.Write(p.ack)
	return err
}

func (p *polled) close() {
	closeQuietly(p.file) // first: it ends a Write that waits with the lock held
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && p.slot.unmask >= 0 {
		kernel.Close(p.slot.unmask)
	}
	p.closed = true
}
