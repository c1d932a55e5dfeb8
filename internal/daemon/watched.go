package daemon

import (
	"fmt"
	"sync"

	"github.com/ivtd/ivt/internal/daemon/process"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/varlink"
)

// processes are those whose death matters now: they hold connections or wait for some. Each has one pidfd,
// however many connections it has.
type processes struct {
	poller *poller

	mu  sync.Mutex
	all map[processKey]*watched
}

type processKey struct {
	pid   int
	start uint64
}

// watched is one process with what is to be done when it dies.
type watched struct {
	set     *processes
	key     processKey
	pidfd   int
	polled  uint64
	next    int
	members map[int]func() // guarded by set.mu, like all that follows
	users   int
	dead    bool
}

func newProcesses(p *poller) *processes { return &processes{poller: p, all: map[processKey]*watched{}} }

// watch begins to watch the peer's process, which identify has found to be key. The caller releases it.
func (ps *processes) watch(peer *varlink.Peer, key processKey) (*watched, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if w := ps.all[key]; w != nil {
		w.users++
		return w, nil
	}
	pidfd, _, err := peer.Pidfd()
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", key.pid, err)
	}
	return ps.begin(key, pidfd)
}

// watchAgain watches a process that a former worker watched. It fails if the process is gone.
func (ps *processes) watchAgain(key processKey) (*watched, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if w := ps.all[key]; w != nil {
		w.users++
		return w, nil
	}
	pidfd, err := kernel.OpenProcess(key.pid)
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", key.pid, err)
	}
	return ps.begin(key, pidfd)
}

// begin watches a pidfd, which is ours from then on. A pidfd that was opened by number is of the process that is meant if
// that one is still alive: its number cannot be another's before it is reaped. Locked.
func (ps *processes) begin(key processKey, pidfd int) (*watched, error) {
	if !process.Alive(key.pid, key.start) {
		kernel.Close(pidfd)
		return nil, fmt.Errorf("watch process %d: it is dead: %w", key.pid, varlink.ErrHungUp) // nobody is there to be told
	}
	w := &watched{set: ps, key: key, pidfd: pidfd, members: map[int]func(){}, users: 1}
	var err error
	if w.polled, err = ps.poller.add(pidfd, kernel.EventIn, w.died); err != nil {
		kernel.Close(pidfd)
		return nil, fmt.Errorf("watch process %d: %w", key.pid, err)
	}
	ps.all[key] = w
	return w, nil
}

// onDeath has f called once when the process dies, at once if it is dead already. f must not wait for long.
func (w *watched) onDeath(f func()) (forget func()) {
	w.set.mu.Lock()
	dead := w.dead
	w.next++
	id := w.next
	if !dead {
		w.members[id] = f
	}
	w.set.mu.Unlock()
	if dead {
		f()
	}
	return func() {
		w.set.mu.Lock()
		defer w.set.mu.Unlock()
		delete(w.members, id)
	}
}

// died runs on a goroutine of the poller's.
func (w *watched) died() {
	w.set.mu.Lock()
	w.dead = true
	delete(w.set.all, w.key)
	members := w.members
	w.members = map[int]func(){}
	w.set.mu.Unlock()
	for _, f := range members {
		f()
	}
}

// use counts one more user, who releases it.
func (w *watched) use() *watched {
	w.set.mu.Lock()
	defer w.set.mu.Unlock()
	w.users++
	return w
}

// release ends one use; the last one closes the pidfd.
func (w *watched) release() {
	w.set.mu.Lock()
	defer w.set.mu.Unlock()
	if w.users--; w.users > 0 {
		return
	}
	if w.set.all[w.key] == w {
		delete(w.set.all, w.key)
	}
	w.set.poller.forget(w.polled)
	kernel.Close(w.pidfd)
}

func (ps *processes) count() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return len(ps.all)
}
