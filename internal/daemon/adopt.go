package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/ivtd/ivt/internal/bury"
	"github.com/ivtd/ivt/internal/daemon/process"
	"github.com/ivtd/ivt/internal/keeper"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/source"
)

// Adoption is what became of the connections of a former worker.
type Adoption struct {
	Adopted  int // go on
	Ended    int // holder died or hung up while no worker ran
	Released int // could not be taken over; the log and an event say why
}

// adopt takes over what a former worker left: the sources have what is theirs already. Wiring is not
// issued again; what nobody has taken over at the end is let go, and then every vector is rung (rules 9, 14), while
// others are served already.
func (s *Server) adopt(ctx context.Context) {
	k := s.keeping
	if k == nil {
		return
	}
	parts := k.entries(partPrefix)
	s.takeOver(k.entries(connectionPrefix), parts)
	for key := range parts { // of records that were never finished
		k.Drop(partPrefix + key)
	}
	for name, src := range s.sources.all() {
		if settler, ok := src.(source.Settler); ok {
			if err := settler.Settle(); err != nil {
				s.log.Error("end what a former worker had wired for others", "source", name, "err", err)
			}
		}
	}
	s.formerWaits = readWaits(k.entries(waitPrefix), s.log)
	if keys := k.settle(); len(keys) > 0 {
		s.log.Info("let go of what nobody took over", "entries", len(keys), "first", keys[0])
	}
	if s.adoption != (Adoption{}) {
		s.log.Info("took over from a former worker", "connections", s.adoption.Adopted, "ended meanwhile", s.adoption.Ended, "released", s.adoption.Released)
	}
}

// A former is a connection of a former worker. There are as many as are under way: those that are done are used again.
type former struct {
	id       string
	record   keptLink
	parts    []string // keys of those of its record
	lifeline int      // -1: none
	err      error    // why the record cannot be read

	link     *link
	hungUp   bool // its lifeline has, or it has none
	takeOver func() (*irq.Connection, error)
}

// readFormer reads the records on a goroutine of its own, in the order in which they are to be taken over: everybody waits
// meanwhile. What is read of parts is deleted there.
func readFormer(connections, parts map[string]*keeper.Entry, done <-chan []former) <-chan []former {
	all := make(chan []former, formerAhead)
	go func() {
		defer close(all)
		seen := map[string]string{}
		for ids := range slices.Chunk(newestFirst(connections), formerAtOnce) {
			some := blank(done, len(ids))
			for i, id := range ids {
				e, f := connections[id], &some[i]
				f.id, f.lifeline = id, -1
				if len(e.Descriptors) == 1 {
					f.lifeline = e.Descriptors[0]
				}
				f.parts, f.err = f.record.readKept(id, e.Value, parts, seen)
			}
			all <- some
		}
	}()
	return all
}

// blank takes what is done, or makes new ones.
func blank(done <-chan []former, n int) []former {
	select {
	case some := <-done:
		some = some[:n]
		clear(some)
		return some
	default:
		return make([]former, n, formerAtOnce)
	}
}

const (
	// formerAtOnce is how many records are read before the next step begins with them: to hand over each costs more than to read it.
	formerAtOnce = 64
	// formerAhead is how many times that one step may be ahead of the next.
	formerAhead = 4
)

// takeOver makes the connections again: what each has is reserved in their order, and then they are wired side by side.
func (s *Server) takeOver(connections, parts map[string]*keeper.Entry) {
	done, reserved := make(chan []former, 2*formerAhead), make(chan []former, formerAhead)
	var wiring sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wiring.Go(func() {
			for some := range reserved {
				s.tieAll(some)
				select {
				case done <- some:
				default:
				}
			}
		})
	}
	for some := range readFormer(connections, parts, done) {
		for i := range some {
			f := &some[i]
			if f.err == nil {
				f.err = s.readmit(f)
			}
			if f.err != nil {
				f.close()
				s.lose(f, f.err)
			}
		}
		reserved <- some
	}
	close(reserved)
	wiring.Wait()
}

func (s *Server) tieAll(some []former) {
	lifelines := make([]int, len(some))
	for i := range some {
		lifelines[i] = some[i].lifeline
	}
	hungUp, err := kernel.HungUpAll(lifelines)
	for i := range some {
		f := &some[i]
		if f.err != nil {
			continue // it is lost
		}
		f.hungUp = f.lifeline < 0 || err != nil || hungUp[i]
		if err := s.tieAgain(f); err != nil {
			s.lose(f, err)
		}
	}
}

// close lets the lifeline of a connection that does not go on hang up.
func (f *former) close() {
	if f.lifeline >= 0 {
		bury.Socket(f.lifeline)
		f.lifeline = -1
	}
}

// lose forgets a connection that could not be taken over.
func (s *Server) lose(f *former, err error) {
	id, r := f.id, f.record
	s.keeping.Drop(connectionPrefix + id)
	for _, key := range f.parts {
		s.keeping.Drop(key)
	}
	ended := irq.Event{Kind: irq.EventRevoked, Reason: irq.ReasonRevoked, Detail: "it could not be taken over after a restart of ivtd: " + err.Error()}
	if errors.Is(err, irq.ErrNotConnected) || errors.Is(err, irq.ErrAlreadyConnected) {
		// A connection lets go of its wiring first, then its vectors are free, and last it is forgotten.
		ended = irq.Event{Kind: irq.EventDisconnected, Reason: irq.ReasonClosed, Detail: "it was ending when a worker of ivtd died"}
		s.count(&s.adoption.Ended)
		s.log.Info("a connection was ending when the former worker died", "connection", id, "err", err)
	} else {
		s.count(&s.adoption.Released)
		s.log.Error("a connection could not be taken over and is released", "connection", id, "err", err)
	}
	for _, v := range r.Vectors {
		h := r.Holder
		ended.Vector, ended.Holder = v.Vector, &h
		s.registry.Emit(ended)
	}
}

// newestFirst orders connections so that of two on one vector the one counts that was granted last.
func newestFirst(connections map[string]*keeper.Entry) []string {
	ids := slices.Collect(maps.Keys(connections))
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(b, a)) })
	return ids
}

// readKept puts a record together. keys are those of its parts.
func (r *keptLink) readKept(id string, value []byte, parts map[string]*keeper.Entry, seen map[string]string) (keys []string, err error) {
	h, err := readHead(value)
	if err != nil {
		return nil, fmt.Errorf("its record is damaged: %w", err)
	}
	text := []byte(h.Whole)
	for n := range h.Parts {
		key := partKey(id, h.Version, n)
		part, ok := parts[key[len(partPrefix):]]
		if !ok {
			return keys, fmt.Errorf("its record is damaged: part %d of %d is missing", n+1, h.Parts)
		}
		delete(parts, key[len(partPrefix):])
		text, keys = append(text, part.Value...), append(keys, key)
	}
	if err := r.unpack(text, seen); err != nil {
		return keys, fmt.Errorf("its record is damaged: %w", err)
	}
	r.version = h.Version
	return keys, nil
}

// readmit reserves what the connection has.
func (s *Server) readmit(f *former) (err error) {
	r := &f.record
	l := &link{server: s, subject: r.Subject, lifeline: -1, token: r.Token, earlier: r.Earlier, parts: f.parts, version: r.version, counted: func() {}}
	l.asked = asked{r.Trigger, r.Access, r.Shared, r.Grace}
	if giveBack, err := s.users.take(r.Subject.UID, connectionsOf, 0, nil); err == nil {
		l.counted = giveBack
	}
	if r.orphanedMeanwhile(f.lifeline) {
		f.close()
	}
	r.GraceEnds = bounded(r.GraceEnds, time.Now(), r.Grace)
	f.link = l
	if f.takeOver, err = s.registry.Readmit(irq.AdoptSpec{Record: r.Record, OnNotice: l.notice, Wire: s.adoptClaim}); err != nil {
		l.counted()
	}
	return err
}

// orphanedMeanwhile makes an orphan of a connection with a grace that has lost its holder while no worker ran.
func (r *keptLink) orphanedMeanwhile(lifeline int) bool {
	if r.Grace == 0 || !r.GraceEnds.IsZero() {
		return false
	}
	if !process.Alive(r.Holder.PID, r.Holder.StartTime) {
		r.GraceEnds = time.Now().Add(r.Grace) // its wiring may be gone already
		return true
	}
	if r.Earlier == nil {
		return false
	}
	if lifeline >= 0 {
		if hungUp, err := kernel.HungUp(lifeline); err != nil || !hungUp {
			return false
		}
	}
	r.unanswered()
	return true
}

// bounded is the end of a grace by this worker's clock: one that was set back meanwhile does not prolong it beyond its length.
func bounded(end, now time.Time, grace time.Duration) time.Time {
	if latest := now.Add(grace); !end.IsZero() && end.After(latest) {
		return latest
	}
	return end
}

// tieAgain makes the connection again, and watches lifeline and process as before. A holder that left meanwhile is seen here, before
// anybody is served.
func (s *Server) tieAgain(f *former) error {
	l := f.link
	c, err := f.takeOver()
	if err != nil {
		l.counted()
		f.close()
		return err
	}
	s.keep(l, f.id)
	if !f.record.GraceEnds.IsZero() {
		l.hold(c)
		l.note()
		s.count(&s.adoption.Adopted)
		return nil
	}
	watched, err := s.processes.watchAgain(processKey{f.record.Holder.PID, f.record.Holder.StartTime})
	if err != nil || f.hungUp {
		return s.leftMeanwhile(f, c, watched)
	}
	s.adoptedOne(l)
	// That it is over already is nobody's error.
	l.bindTo(&tie{ours: f.lifeline, theirs: -1, process: watched}, c)
	if l.fallBackOn(nil) != nil { // the answer had arrived
		l.note()
	}
	return nil // what is kept of it is what it was
}

// leftMeanwhile ends a connection whose holder died or let go while no worker ran. watched is the process if it lives.
func (s *Server) leftMeanwhile(f *former, c *irq.Connection, watched *watched) error {
	s.count(&s.adoption.Ended)
	f.link.hold(c)
	f.close()
	if watched != nil { // it let go or never got it: a grace is for who died
		defer watched.release()
		return ignoreEnded(c.Disconnect(context.Background()))
	}
	c.HolderDied()
	f.link.note()
	return nil
}

// hold gives a link the connection whose holder it cannot be tied to.
func (l *link) hold(c *irq.Connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connection, l.generation = c, c.Generation()
}

func (s *Server) count(n *int) {
	s.adopting.Lock()
	defer s.adopting.Unlock()
	*n++
}

func (s *Server) adoptedOne(l *link) {
	s.adopting.Lock()
	defer s.adopting.Unlock()
	s.adoption.Adopted++
	s.adopted = append(s.adopted, l)
}

// goOnWithAdopted listens to the lifelines again, of which none had hung up a moment ago, and wakes every holder once more (rule 9). It
// waits for the history to follow: the registry's ring is shorter than what happens to ten thousand connections at once.
func (s *Server) goOnWithAdopted() {
	for some := range slices.Chunk(s.adopted, max(leastRung, s.live.Load().Limits.History/4)) {
		if !s.history.follow(s.base, s.registry.Stats().Sequence) {
			return
		}
		for few := range slices.Chunk(some, ringAtOnce) {
			for _, l := range few {
				l.goOn()
			}
			time.Sleep(ringPause)
		}
	}
	s.adopted = nil
}

// goOn is the last step of taking over.
func (l *link) goOn() {
	l.mu.Lock()
	c := l.connection
	l.mu.Unlock()
	if err := l.listen(); err != nil {
		why := "its lifeline could not be watched after a restart of ivtd: " + err.Error()
		l.server.log.Error("a connection could not be taken over and is released", "connection", c.ID(), "err", err)
		c.Revoke(l.server.base, 0, why) // that it is over already is nobody's error
		return
	}
	c.Ring()
}

const (
	// leastRung is how many holders are woken without a look at the history, however short the ring is.
	leastRung = 512
	// After so many the others have their turn: who was woken, and who calls. Go's poller is not looked at while all are busy.
	ringAtOnce = 64
	ringPause  = 500 * time.Microsecond
)

// adoptClaim has the source take over one vector.
func (s *Server) adoptClaim(c irq.Claim) (irq.Handler, error) {
	src := s.sources.get(c.Vector.Source)
	if src == nil {
		return nil, noSuchSource("adopt", c.Vector.Source)
	}
	return src.Adopt(c)
}

func ignoreEnded(err error) error {
	if errors.Is(err, irq.ErrNotConnected) {
		return nil
	}
	return err
}
