package irq

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a registry is made with. The zero value of each field gives the default.
type Config struct {
	Clock       Clock         // default: the system's
	EventRing   int           // events kept for Watch and History; default 4096, half of them for refusals
	AckDeadline time.Duration // after it a sharer that keeps a level line masked is revoked (rule 8); default 10 s, negative: named after that long, never revoked
	Instance    string        // identity of this registry; default random

	// What a registry that takes over from another goes on from (rule 14), so that nothing is given
	// twice: the Stats of the same name.
	Sequence, Serial, Turn uint64
	// Mark is called with the number of each event as it is given, so that it can be kept for Sequence. It must
	// be quick and not call back.
	Mark func(sequence uint64)
}

// A Registry is the vector table. All methods may be called from any goroutine.
//
// One mutex guards who has what. It is held for microseconds, whatever the number of vectors, and never
// across a handler, a Wiring or an OnNotice. A Gate is called under it.
type Registry struct {
	config Config
	clock  Clock
	log    history
	totals totals
	work   crew

	mu       sync.Mutex
	closed   bool
	sources  []*Source // by name
	aliases  map[Vector]*Line
	conns    map[string]*Connection
	roll     roll
	serial   uint64
	calls    bool // somebody's own function has been a handler: only such may call back
	orphans  int
	accounts map[string]int // vectors held, by account
	waiters  map[*waiter]struct{}
	turn     uint64
}

type totals struct{ storms, rang, lost, overdue atomic.Uint64 }

const (
	defaultEventRing   = 4096
	defaultAckDeadline = 10 * time.Second
)

// New returns an empty registry.
func New(c Config) *Registry {
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.EventRing <= 0 {
		c.EventRing = defaultEventRing
	}
	if c.AckDeadline == 0 {
		c.AckDeadline = defaultAckDeadline
	}
	if c.Instance == "" {
		c.Instance = rand.Text()
	}
	return &Registry{
		config: c, clock: c.Clock, serial: c.Serial, turn: c.Turn, log: newHistory(c),
		aliases: map[Vector]*Line{}, conns: map[string]*Connection{}, accounts: map[string]int{}, waiters: map[*waiter]struct{}{},
	}
}

// Instance identifies the registry.
func (r *Registry) Instance() string { return r.config.Instance }

// Close ends every connection and every wait (ErrNotConnected, ReasonClosed) and stops the registry's
// timers. It returns when all is unwired and no handler runs, except the one that it is called from.
func (r *Registry) Close() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.closed = true
	conns := map[*Connection]struct{}{} // those being wired are not in the roll
	for _, s := range r.sources {
		for c := range s.conns {
			conns[c] = struct{}{}
		}
	}
	over := closedError("registry")
	for w := range r.waiters {
		r.dismiss(w, over)
	}
	r.mu.Unlock()
	for c := range conns {
		c.end(endClosed("the registry is closed"))
	}
	if insideHandler() {
		return
	}
	for c := range conns {
		<-c.Done()
	}
	r.work.wait()
}

// Settle returns when no delivery or end that the registry runs on goroutines of its own is under way.
// It is for tests and must not be called from a handler.
func (r *Registry) Settle() { r.work.wait() }

func closedError(what string) *Error {
	return &Error{Code: ErrNotConnected, Reason: ReasonClosed, Detail: "the " + what + " is closed"}
}

// async runs f on a goroutine that Close waits for.
func (r *Registry) async(f func()) {
	r.work.join()
	go func() {
		defer r.work.leave()
		f()
	}()
}

// after runs f later, on a goroutine that Close waits for.
func (r *Registry) after(d time.Duration, f func()) (stop func() bool) {
	return r.clock.AfterFunc(d, func() {
		r.mu.Lock()
		closed := r.closed
		if !closed {
			r.work.join()
		}
		r.mu.Unlock()
		if !closed {
			defer r.work.leave()
			f()
		}
	})
}

// Stats are totals, for metrics and Status.
type Stats struct {
	Sources, Vectors, Connections, Orphans, Waiting int
	Refusals                                        map[Code]uint64
	Storms, Rang, Lost, Overdue                     uint64
	Sequence                                        uint64 // of the last event
	Serial                                          uint64 // of the newest connection
	Turn                                            uint64 // of the last waiter
}

// Stats returns the totals.
func (r *Registry) Stats() Stats {
	s := Stats{
		Storms: r.totals.storms.Load(), Rang: r.totals.rang.Load(), Lost: r.totals.lost.Load(), Overdue: r.totals.overdue.Load(),
	}
	s.Sequence, s.Refusals = r.log.totals()
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Sources, s.Connections, s.Orphans, s.Waiting = len(r.sources), len(r.conns), r.orphans, len(r.waiters)
	s.Serial, s.Turn = r.serial, r.turn
	for _, source := range r.sources {
		s.Vectors += source.size
	}
	return s
}
