package daemon

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/source"
)

// What vectors have counted outlives the worker: that of present holders stands in the counters of their streams, which are
// written with each delivery, and what former holders were given in a slot of the vector's own, which is written when the
// last one leaves. What had arrived and was given to nobody yet is not counted again; who comes next is rung for it.
type counts struct {
	Arrived   uint64 `json:"arrived"`
	Taken     uint64 `json:"taken"`
	Unhandled uint64 `json:"unhandled"`
}

// noteCounts keeps what vectors without a holder have counted.
func (s *Server) noteCounts(vectors []irq.Vector) {
	if s.keeping == nil || s.keeping.store.Free() < s.keeping.store.Memory().Slots()/4 {
		return // what connections need goes first
	}
	for _, v := range vectors {
		i, err := s.registry.Lookup(v)
		if err != nil || len(i.Holders) > 0 || !i.Counted || i.Arrived+i.Taken+i.Unhandled == 0 {
			continue
		}
		value, err := json.Marshal(counts{i.Arrived, i.Taken, i.Unhandled})
		if err == nil {
			err = s.keeping.Put(countPrefix+v.String(), value)
		}
		if err != nil {
			s.log.Warn("what a vector counted would not survive a restart", "vector", v, "err", err)
		}
	}
}

// tally adds up what former workers had counted for the vectors of a source, before the source takes what is its own.
func (k *keeping) tally(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sums := make(map[irq.Vector]counts, len(k.left[sourcePrefix+name+"/"]))
	for text, e := range k.left[countPrefix] {
		var v irq.Vector
		var c counts
		if v.UnmarshalText([]byte(text)) == nil && v.Source == name && json.Unmarshal(e.Value, &c) == nil {
			sum := sums[v]
			sums[v] = counts{sum.Arrived + c.Arrived, sum.Taken + c.Taken, sum.Unhandled + c.Unhandled}
			delete(k.left[countPrefix], text)
		}
	}
	for key, e := range k.left[sourcePrefix+name+"/"] {
		rest, ok := strings.CutPrefix(key, "stream/")
		kind, rest, _ := strings.Cut(rest, "/")
		number, _, _ := strings.Cut(rest, "/")
		index, err := strconv.Atoi(number)
		if !ok || err != nil {
			continue
		}
		v := irq.Vector{Source: name, Type: kind, Index: index}
		sum, arrived := sums[v], e.Counters[source.TallyArrived]
		// Sharers are each given what arrives, so the arrivals are counted a little high, and never low.
		sums[v] = counts{sum.Arrived + arrived, sum.Taken + arrived, sum.Unhandled + e.Counters[source.TallyUnhandled]}
	}
	k.sums = sums
}

// restoreCounts puts what tally found into the registry.
func (k *keeping) restoreCounts(name string, s *irq.Source) {
	for v, c := range k.sums {
		s.Restore(irq.Info{Vector: v, Arrived: c.Arrived, Taken: c.Taken, Unhandled: c.Unhandled})
	}
	k.sums = nil
}

// noteStorms keeps how far the back-off of a connection has got (rule 11), until ctx ends.
func (s *Server) noteStorms(ctx context.Context) {
	w := s.registry.Watch(0)
	defer w.Close()
	w.Pace(recordPause)
	for {
		e, _, err := w.Next(ctx)
		if err != nil {
			return
		}
		if e.Kind != irq.EventStorm || e.Holder == nil {
			continue
		}
		for _, l := range s.linksOn(e.Vector) {
			l.note()
		}
	}
}

func (s *Server) linksOn(v irq.Vector) (on []*link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		l.mu.Lock()
		c := l.connection
		l.mu.Unlock()
		if c != nil && slices.Contains(c.Vectors(), v) {
			on = append(on, l)
		}
	}
	return on
}
