package daemon

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

func (s *Server) doorbell(c *varlink.Call, k *caller) error {
	var in api.VectorIn
	if err := errors.Join(c.Plain(), c.Decode(&in)); err != nil {
		return err
	}
	return s.ring(k, in.Vector, "ring", func(v irq.Vector, src ringer) error {
		if err := s.countBell(k, v); err != nil {
			return err
		}
		fd, err := src.Doorbell(v, k.holder)
		if err != nil {
			return err
		}
		p := page{}
		p.put(fd)
		defer p.close()
		return c.Reply(api.DoorbellOut{}, p.fds...)
	})
}

func (s *Server) raise(c *varlink.Call, k *caller) error {
	var in api.RaiseIn
	if err := c.Decode(&in); err != nil {
		return err
	}
	return s.ring(k, in.Vector, "raise", func(v irq.Vector, src ringer) error {
		if v.Scheme() != "soft" {
			if err := s.administrator(k, "raise", in.Vector); err != nil {
				return err
			}
		}
		if err := src.Raise(v, max(in.Count, 1)); err != nil {
			return err
		}
		return c.Reply(nil)
	})
}

// ringer is what of a source ringing needs.
type ringer interface {
	Doorbell(v irq.Vector, raiser irq.Holder) (int, error)
	Raise(v irq.Vector, count uint64) error
}

// ring finds the vector that is to be rung: visibility, then policy, then whether there is such a thing.
func (s *Server) ring(k *caller, name, operation string, do func(irq.Vector, ringer) error) error {
	v, err := parseVector(name, operation)
	if err != nil {
		return err
	}
	info, err := s.seen(k, v, operation)
	if err != nil {
		return err
	}
	if err := k.gate.AllowRaise(info.Vector, operation); err != nil {
		return err
	}
	src := s.sources.get(info.Vector.Source)
	if src == nil {
		return sourceGone(operation, info.Vector)
	}
	return do(info.Vector, src)
}

// bells are the doorbells that processes have, to count them: a process has at most one for each vector, as long as it
// lives.
type bells struct {
	mu  sync.Mutex
	all map[processKey]*processBells
}

type processBells struct {
	vectors map[irq.Vector]func() // gives the count back
	release func()                // ends the watching of the process
}

// countBell counts a doorbell of the caller's process against its user, once.
func (s *Server) countBell(k *caller, v irq.Vector) error {
	fresh, err := s.addBell(k, v)
	if fresh != nil {
		fresh.onDeath(func() { s.forgetBells(k.key) })
	}
	return err
}

// addBell returns the process if this is its first doorbell: its death is then to be watched.
func (s *Server) addBell(k *caller, v irq.Vector) (fresh *watched, err error) {
	s.bells.mu.Lock()
	defer s.bells.mu.Unlock()
	b := s.bells.all[k.key]
	if b != nil && b.vectors[v] != nil {
		return nil, nil
	}
	giveBack, err := s.take(k, bellsOf, s.live.Load().Limits.DoorbellsPerUser, "doorbells_per_user", "ring")
	if err != nil {
		return nil, err
	}
	if b == nil {
		if fresh, err = k.watch(s.processes); err != nil {
			giveBack()
			return nil, err
		}
		b = &processBells{vectors: map[irq.Vector]func(){}, release: fresh.release}
		if s.bells.all == nil {
			s.bells.all = map[processKey]*processBells{}
		}
		s.bells.all[k.key] = b
	}
	b.vectors[v] = giveBack
	return fresh, nil
}

// forgetBells gives back what a process had that died.
func (s *Server) forgetBells(key processKey) {
	s.bells.mu.Lock()
	b := s.bells.all[key]
	delete(s.bells.all, key)
	s.bells.mu.Unlock()
	if b == nil {
		return
	}
	for _, giveBack := range b.vectors {
		giveBack()
	}
	b.release()
}

// dropBells is forgetBells for everybody, at the end.
func (s *Server) dropBells() {
	s.bells.mu.Lock()
	keys := slices.Collect(maps.Keys(s.bells.all))
	s.bells.mu.Unlock()
	for _, key := range keys {
		s.forgetBells(key)
	}
}
