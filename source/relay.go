//go:build linux

package source

import (
	"errors"
	"os"
	"sync"

	"github.com/ivtd/ivt/internal/kernel"
)

// batchLimit is how many records of one descriptor are taken in its turn, so that a raiser who floods
// starves nobody: epoll reports what stays ready in rotation.
const batchLimit = kernel.BatchRecords

// A relay is the one goroutine that reads for every source of the process: what holders acknowledge,
// what raisers ring, what devices report by a descriptor that only one may read. It never waits for
// anybody but the kernel's epoll.
type relay struct {
	epoll *kernel.Epoll
	done  chan struct{}

	mu    sync.Mutex
	ports map[uint64]port
	next  uint64
	users int
}

// A port is one descriptor in the relay. Its ready is called on the relay's goroutine, with the relay's
// batch to receive into. It may still be called once after remove has returned, and must cope.
type port interface {
	ready(b *kernel.Batch, events uint32)
}

var (
	relayMu sync.Mutex
	shared  *relay
)

// useRelay returns the process's relay, started if need be. Each user calls release once.
func useRelay() (*relay, error) {
	relayMu.Lock()
	defer relayMu.Unlock()
	if shared == nil {
		epoll, err := kernel.NewEpoll()
		if err != nil {
			return nil, err
		}
		shared = &relay{epoll: epoll, done: make(chan struct{}), ports: map[uint64]port{}}
		go shared.run()
	}
	shared.users++
	return shared, nil
}

// release lets the relay go; the last one waits until its goroutine has ended. Not to be called from a port.
func (r *relay) release() {
	relayMu.Lock()
	defer relayMu.Unlock()
	if r.users--; r.users > 0 {
		return
	}
	r.epoll.Close() // wakes run, which ends
	<-r.done
	shared = nil
}

func (r *relay) run() {
	defer close(r.done)
	batch := kernel.NewBatch()
	ready := make([]kernel.Ready, 64)
	for {
		n, err := r.epoll.Wait(ready)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			panic("source: epoll_wait: " + err.Error()) // EBADF or EINVAL: our own mistake, never a client's
		}
		for _, e := range ready[:n] {
			if p := r.port(e.Key); p != nil {
				p.ready(batch, e.Events)
			}
		}
	}
}

func (r *relay) port(key uint64) port {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ports[key]
}

// add waits for events on fd, for p. The key names it from now on.
func (r *relay) add(fd int, events uint32, p port) (key uint64, err error) {
	r.mu.Lock()
	r.next++
	key = r.next
	r.ports[key] = p
	r.mu.Unlock()
	if err := r.epoll.Add(fd, events, key); err != nil {
		r.forget(key)
		return 0, err
	}
	return key, nil
}

// remove takes fd out, before it is closed.
func (r *relay) remove(fd int, key uint64) {
	r.epoll.Remove(fd) // ENOENT if it was removed already
	r.forget(key)
}

func (r *relay) forget(key uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ports, key)
}
