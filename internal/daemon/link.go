package daemon

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"sync"
	"time"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/bury"
	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// A link is ivtd's end of a connection: the lifeline to its holder, the process that holds it, the token with
// which a restarted driver asks for it. It lives from before the connection is granted until it is over.
//
// Its lock is never held while the registry is called.
type link struct {
	server  *Server
	subject policy.Subject
	asked   asked
	counted func() // gives the user's count back

	mu         sync.Mutex
	connection *irq.Connection // nil until it is granted
	generation uint64
	lifeline   int    // our end, -1 if there is none
	polled     uint64 // lifeline in the poller
	process    *watched
	forget     func()   // takes the death notice of process back
	token      string   // "" without grace
	earlier    *earlier // during a resumption, and after one that failed
	told       bool     // the holder ends it itself, and gets the answer to that
	over       bool

	resuming sync.Mutex // held while somebody resumes; taken before the others

	kept      sync.Mutex // around what follows and the keeping itself; taken before mu
	forgotten bool
	version   uint64
	parts     []string
}

// asked is what of a request is needed later: for the policy's question after a reload, and for the next worker.
type asked struct {
	trigger irq.Trigger
	access  irq.Access
	shared  bool
	grace   time.Duration
}

func askedOf(q irq.Request) asked { return asked{q.Trigger, q.Access, q.Shared, q.Grace} }

// A tie is what binds a link to one process: made before the connection is granted, so that nothing is left
// to fail afterwards.
type tie struct {
	ours, theirs int // the lifeline
	process      *watched
}

func (s *Server) newTie(k *caller) (*tie, error) {
	process, err := k.watch(s.processes)
	if err != nil {
		return nil, err
	}
	ours, theirs, err := kernel.Socketpair()
	if err != nil {
		process.release()
		return nil, err
	}
	_ = kernel.RefuseDescriptors(ours) // older kernels do not
	return &tie{ours, theirs, process}, nil
}

// close lets go of a tie that bound nothing.
func (t *tie) close() {
	kernel.Close(t.ours)
	kernel.Close(t.theirs)
	t.process.release()
}

// bind puts the tie's end of the lifeline under the link; the other one stays the caller's, to be sent and
// closed. From now on the connection ends with the lifeline or with the process (rule 6), which may be at once.
func (l *link) bind(t *tie, c *irq.Connection) error {
	if err := l.bindTo(t, c); err != nil {
		return err
	}
	return l.listen()
}

// bindTo is bind without listening to the lifeline.
func (l *link) bindTo(t *tie, c *irq.Connection) error {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		kernel.Close(t.ours)
		t.process.release()
		return c.Err()
	}
	l.connection, l.generation = c, c.Generation()
	l.lifeline, l.polled, l.process = t.ours, 0, t.process
	generation := l.generation
	l.mu.Unlock()
	forget := t.process.onDeath(func() { l.gone(generation) })
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.process == t.process {
		l.forget = forget
	} else {
		forget()
	}
	return nil
}

// listen has the connection end when its lifeline hangs up, at once if that has happened.
func (l *link) listen() (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if generation := l.generation; l.lifeline >= 0 && l.polled == 0 {
		l.polled, err = l.server.poller.add(l.lifeline, kernel.EventPeerClosed, func() { l.gone(generation) })
	}
	return err
}

// gone is called when the holder of a generation died or its lifeline hung up.
func (l *link) gone(generation uint64) {
	l.mu.Lock()
	c := l.connection
	stale := l.over || l.generation != generation || l.lifeline < 0
	l.mu.Unlock()
	if stale {
		return
	}
	l.unbind(generation)
	defer l.note()
	c.HolderDied() // with a grace the connection lives on; otherwise notice tells that it is over
}

// unbind closes the lifeline of a generation and stops watching its process.
func (l *link) unbind(generation uint64) {
	l.mu.Lock()
	if l.lifeline < 0 || l.generation != generation {
		l.mu.Unlock()
		return
	}
	lifeline, polled, process, forget := l.lifeline, l.polled, l.process, l.forget
	l.lifeline, l.process, l.forget = -1, nil, nil
	l.mu.Unlock()
	l.server.hangUp(polled, lifeline)
	if forget != nil {
		forget()
	}
	process.release()
}

// hangUp ends a lifeline for every copy of both ends. The holder may have sent something on it, which nobody reads.
func (s *Server) hangUp(polled uint64, lifeline int) {
	s.poller.forget(polled)
	bury.Socket(lifeline)
}

// leaves notes that the holder ends the connection itself: there is no need to tell it on the lifeline.
func (l *link) leaves() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = true
}

// notice is the connection's OnNotice: it goes out on the lifeline, which hangs up when the connection is over.
func (l *link) notice(n irq.Notice) {
	l.mu.Lock()
	if lifeline := l.lifeline; lifeline >= 0 && !(l.told && n.Reason == irq.ReasonClosed) {
		record := api.FromNotice(n, time.Now(), kernel.Monotonic())
		kernel.Send(lifeline, record.Append(nil)) // a holder that does not read misses it, and sees the hang-up
	}
	if n.Err == nil {
		l.mu.Unlock()
		return
	}
	l.over = true
	generation := l.generation
	l.mu.Unlock()
	l.unbind(generation)
	l.server.drop(l, n.Connection)
}

// newToken replaces the token. Only a connection with a grace has one.
func (l *link) newToken() string {
	if l.asked.grace <= 0 {
		return ""
	}
	random := make([]byte, 16)
	rand.Read(random) // never fails
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = hex.EncodeToString(random)
	return l.token
}

// knows compares a token without telling by its duration how much of it was right.
func (l *link) knows(token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	good := func(t string) bool { return t != "" && subtle.ConstantTimeCompare([]byte(t), []byte(token)) == 1 }
	return good(l.token) || l.earlier != nil && good(l.earlier.Token)
}

// keep makes the link known by its connection, unless that is over already.
func (s *Server) keep(l *link, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		s.links[id] = l
	}
}

// drop forgets a link whose connection is over.
func (s *Server) drop(l *link, id string) {
	s.mu.Lock()
	if s.links[id] == l {
		delete(s.links, id)
	}
	s.mu.Unlock()
	l.forgetKept(id)
	l.mu.Lock()
	c := l.connection
	l.mu.Unlock()
	if c != nil {
		s.noteCounts(c.Vectors())
	}
	l.counted()
}

// dropLinks lets go of what the registry's end left.
func (s *Server) dropLinks() {
	s.mu.Lock()
	left := make([]*link, 0, len(s.links))
	for _, l := range s.links {
		left = append(left, l)
	}
	clear(s.links)
	s.mu.Unlock()
	for _, l := range left {
		l.mu.Lock()
		l.over = true
		generation := l.generation
		l.mu.Unlock()
		l.unbind(generation)
		l.counted()
	}
}

func (s *Server) link(id string) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.links[id]
}
