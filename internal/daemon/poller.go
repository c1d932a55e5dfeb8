package daemon

import (
	"errors"
	"log/slog"
	"os"
	"sync"

	"github.com/ivtd/ivt/internal/kernel"
)

// A poller waits for the end of many descriptors, lifelines and pidfds, that are plain integers. Each is
// reported once. Ten thousand of them cost one goroutine.
type poller struct {
	epoll *kernel.Epoll
	log   *slog.Logger

	mu      sync.Mutex
	next    uint64
	targets map[uint64]target

	loop  sync.WaitGroup // the goroutine that waits
	tasks sync.WaitGroup // what it started
}

type target struct {
	fd    int
	ended func()
}

func newPoller(log *slog.Logger) (*poller, error) {
	epoll, err := kernel.NewEpoll()
	if err != nil {
		return nil, err
	}
	p := &poller{epoll: epoll, log: log, targets: map[uint64]target{}}
	p.loop.Go(p.run)
	return p, nil
}

// add has ended called, on a goroutine of its own, once one of events comes on fd or it hangs up. Until then
// fd must stay open; forget takes it back.
func (p *poller) add(fd int, events uint32, ended func()) (key uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	if err := p.epoll.Add(fd, events|kernel.OneShot, p.next); err != nil {
		return 0, err
	}
	p.targets[p.next] = target{fd, ended}
	return p.next, nil
}

// forget takes fd back: it will not be reported, though a report may be under way.
func (p *poller) forget(key uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.targets[key]; ok {
		delete(p.targets, key)
		p.remove(t.fd)
	}
}

// remove takes fd out of the set before it is closed: the set would keep the open file while copies of it
// exist, and report a key that means nothing any more.
func (p *poller) remove(fd int) {
	if err := p.epoll.Remove(fd); err != nil && !errors.Is(err, os.ErrClosed) {
		p.log.Error("take a descriptor out of the epoll", "fd", fd, "err", err)
	}
}

func (p *poller) run() {
	ready := make([]kernel.Ready, 256)
	for {
		n, err := p.epoll.Wait(ready)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				p.log.Error("wait for lifelines", "err", err)
			}
			return
		}
		for _, r := range ready[:n] {
			if ended := p.take(r.Key); ended != nil {
				p.tasks.Go(ended)
			}
		}
	}
}

// take removes what key stands for; nil if it was forgotten meanwhile.
func (p *poller) take(key uint64) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.targets[key]
	if !ok {
		return nil
	}
	delete(p.targets, key)
	p.remove(t.fd)
	return t.ended
}

// close ends the waiting and returns when nothing that it started runs any more.
func (p *poller) close() {
	p.epoll.Close()
	p.loop.Wait()
	p.tasks.Wait()
}
