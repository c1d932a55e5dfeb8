package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

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
// issued again; what nobody has taken over at the end is let go, and then every vector is rung (rules 9, 14).
func (s *Server) adopt(ctx context.Context) {
	k := s.keeping
	if k == nil {
		return
	}
	parts := k.entries(partPrefix)
	for f := range readFormer(k.entries(connectionPrefix), parts) {
		s.adoptOne(f)
	}
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

// A former is a connection of a former worker.
type former struct {
	id       string
	record   keptLink
	parts    []string // keys of those of its record
	lifeline int      // -1: none
	err      error    // why the record cannot be read
}

// readFormer reads the records on a goroutine of its own, in the order in which they are to be taken over: that takes as long
// as all the rest, and everybody waits meanwhile. What is read of parts is deleted there.
func readFormer(connections, parts map[string]keeper.Entry) <-chan former {
	all := make(chan former, 256)
	go func() {
		defer close(all)
		for _, id := range newestFirst(connections) {
			f := former{id: id, lifeline: -1}
			if fds := connections[id].Descriptors; len(fds) == 1 {
				f.lifeline = fds[0]
			}
			f.record, f.parts, f.err = readKept(id, connections[id].Value, parts)
			all <- f
		}
	}()
	return all
}

func (s *Server) adoptOne(f former) {
	id, r, err := f.id, f.record, f.err
	if err == nil {
		err = s.readmit(id, r, f.parts, f.lifeline)
	} else if f.lifeline >= 0 {
		kernel.Close(f.lifeline)
	}
	if err == nil {
		return
	}
	s.keeping.Drop(connectionPrefix + id)
	for _, key := range f.parts {
		s.keeping.Drop(key)
	}
	ended := irq.Event{Kind: irq.EventRevoked, Reason: irq.ReasonRevoked, Detail: "it could not be taken over after a restart of ivtd: " + err.Error()}
	if errors.Is(err, irq.ErrNotConnected) || errors.Is(err, irq.ErrAlreadyConnected) {
		// A connection lets go of its wiring first, then its vectors are free, and last it is forgotten.
		ended = irq.Event{Kind: irq.EventDisconnected, Reason: irq.ReasonClosed, Detail: "it was ending when a worker of ivtd died"}
		s.adoption.Ended++
		s.log.Info("a connection was ending when the former worker died", "connection", id, "err", err)
	} else {
		s.adoption.Released++
		s.log.Error("a connection could not be taken over and is released", "connection", id, "err", err)
	}
	for _, v := range r.Vectors {
		h := r.Holder
		ended.Vector, ended.Holder = v.Vector, &h
		s.registry.Emit(ended)
	}
}

// newestFirst orders connections so that of two on one vector the one counts that was granted last.
func newestFirst(connections map[string]keeper.Entry) []string {
	ids := slices.Collect(maps.Keys(connections))
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(b, a)) })
	return ids
}

// readKept puts a record together. keys are those of its parts.
func readKept(id string, value []byte, parts map[string]keeper.Entry) (r keptLink, keys []string, err error) {
	h, err := readHead(value)
	if err != nil {
		return r, nil, fmt.Errorf("its record is damaged: %w", err)
	}
	text := []byte(h.Whole)
	for n := range h.Parts {
		key := partKey(id, h.Version, n)
		part, ok := parts[key[len(partPrefix):]]
		if !ok {
			return r, keys, fmt.Errorf("its record is damaged: part %d of %d is missing", n+1, h.Parts)
		}
		delete(parts, key[len(partPrefix):])
		text, keys = append(text, part.Value...), append(keys, key)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, keys, fmt.Errorf("its record is damaged: %w", err)
	}
	r.version = h.Version
	return r, keys, nil
}

// readmit makes the connection again, with its lifeline, which is ours from then on.
func (s *Server) readmit(id string, r keptLink, parts []string, lifeline int) error {
	l := &link{server: s, subject: r.Subject, lifeline: -1, token: r.Token, earlier: r.Earlier, parts: parts, version: r.version, counted: func() {}}
	l.asked = asked{r.Trigger, r.Access, r.Shared, r.Grace}
	if giveBack, err := s.users.take(r.Subject.UID, connectionsOf, 0, nil); err == nil {
		l.counted = giveBack
	}
	if r.orphanedMeanwhile(lifeline) && lifeline >= 0 {
		kernel.Shutdown(lifeline)
		kernel.Close(lifeline)
		lifeline = -1
	}
	r.GraceEnds = bounded(r.GraceEnds, time.Now(), r.Grace)
	connection, err := s.registry.Adopt(irq.AdoptSpec{Record: r.Record, OnNotice: l.notice, Wire: s.adoptClaim})
	if err != nil {
		l.counted()
		if lifeline >= 0 {
			kernel.Close(lifeline)
		}
		return err
	}
	s.keep(l, id)
	if !r.GraceEnds.IsZero() {
		l.mu.Lock()
		l.connection, l.generation = connection, connection.Generation()
		l.mu.Unlock()
		l.note()
		s.adoption.Adopted++
		return nil
	}
	return s.tieAgain(l, connection, r.Holder, lifeline)
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

// tieAgain watches lifeline and process as before. A holder that left meanwhile is seen here, before anybody is served.
func (s *Server) tieAgain(l *link, c *irq.Connection, h irq.Holder, lifeline int) error {
	watched, err := s.processes.watchAgain(processKey{h.PID, h.StartTime})
	hungUp := true
	if err == nil && lifeline >= 0 {
		hungUp, err = kernel.HungUp(lifeline)
	}
	if err != nil || hungUp {
		s.adoption.Ended++
		l.mu.Lock()
		l.connection, l.generation = c, c.Generation()
		l.mu.Unlock()
		if watched != nil {
			defer watched.release()
		}
		if lifeline >= 0 {
			kernel.Shutdown(lifeline)
			kernel.Close(lifeline)
		}
		if watched != nil { // it lives, and let go or never got it: a grace is for who died
			return ignoreEnded(c.Disconnect(context.Background()))
		}
		c.HolderDied()
		l.note()
		return nil
	}
	s.adoption.Adopted++
	if err := l.bind(&tie{ours: lifeline, theirs: -1, process: watched}, c); err != nil && !errors.Is(err, irq.ErrNotConnected) {
		return err
	}
	if l.fallBackOn(nil) != nil { // the answer had arrived
		l.note()
	}
	return nil // what is kept of it is what it was
}

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
