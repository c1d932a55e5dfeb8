//go:build linux

package source

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/ivtd/ivt/internal/bury"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// bells are the doorbells that one source has given out: one for each raiser of each vector.
type bells struct {
	relay *relay
	keep  Keep

	making sync.Mutex // one is made at a time, so that a raiser never gets two of one vector

	mu   sync.Mutex
	open map[bellKey]*bell
}

// bellKey names a doorbell. Its JSON is what a Keep holds.
type bellKey struct {
	Vector irq.Vector `json:"vector"`
	PID    int        `json:"pid,omitempty"`
	Start  uint64     `json:"start,omitempty"`
}

const bellPrefix = "bell/"

// name is the key of a new bell in a Keep: never that of one which ends at this moment.
func (k bellKey) name() string {
	return fmt.Sprintf("%s%s/%d/%d/%d", bellPrefix, k.Vector.Type, k.Vector.Index, k.PID, kernel.Monotonic())
}

func newBells(r *relay, keep Keep) *bells {
	return &bells{relay: r, keep: keep, open: map[bellKey]*bell{}}
}

// give returns a copy of the raiser's half of its doorbell of a line.
func (s *bells) give(line *irq.Line, raiser irq.Holder) (fd int, err error) {
	s.making.Lock()
	defer s.making.Unlock()
	key := bellKey{line.Vector(), raiser.PID, raiser.StartTime}
	s.mu.Lock()
	b := s.open[key]
	s.mu.Unlock()
	if b != nil {
		if fd, err := b.copy(); err == nil {
			return fd, nil
		} // it ends at this moment: the raiser gets a new one
	}
	if b, err = s.make(key, line); err == nil {
		fd, err = b.copy()
	}
	if err != nil {
		return -1, fmt.Errorf("make a doorbell of %s: %w", key.Vector, err)
	}
	return fd, nil
}

func (s *bells) make(key bellKey, line *irq.Line) (*bell, error) {
	b, err := newBell(s.relay, line)
	if err != nil {
		return nil, err
	}
	value, err := json.Marshal(key)
	if err == nil {
		b.name = key.name()
		err = s.keep.Put(b.name, value, b.in.fd, b.theirs)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, s.start(key, b)
}

// start hangs the bell up and lets it ring.
func (s *bells) start(key bellKey, b *bell) error {
	b.ended = func() { s.drop(key, b) }
	s.mu.Lock()
	s.open[key] = b
	s.mu.Unlock()
	err := b.start(irq.Holder{PID: key.PID, StartTime: key.Start})
	if err != nil {
		s.drop(key, b)
	}
	return err
}

// drop forgets b, unless its raiser has a new one already.
func (s *bells) drop(key bellKey, b *bell) {
	s.mu.Lock()
	if s.open[key] == b {
		delete(s.open, key)
	}
	s.mu.Unlock()
	s.keep.Drop(b.name)
}

// adopt takes over what a former process had given out. A doorbell whose raiser is dead, or whose entry
// is damaged, is closed: nobody can ring it.
func (s *bells) adopt(all map[string]Kept, lines *irq.Source) {
	for name, kept := range all {
		if err := s.adoptOne(name, kept, lines); err != nil {
			s.keep.Drop(name)
		}
	}
}

func (s *bells) adoptOne(name string, kept Kept, lines *irq.Source) error {
	var key bellKey
	err := json.Unmarshal(kept.Value, &key)
	line := lines.Line(key.Vector.Type, key.Vector.Index)
	if err != nil || len(kept.FDs) != 2 || line == nil {
		for _, fd := range kept.FDs {
			bury.Socket(fd)
		}
		return fmt.Errorf("damaged doorbell of %s: %w", key.Vector, err)
	}
	b := &bell{name: name, relay: s.relay, line: line, in: inlet{fd: kept.FDs[0]}, theirs: kept.FDs[1], pidfd: -1}
	if err := b.in.prepare(); err != nil {
		b.close()
		return err
	}
	return s.start(key, b)
}

// close revokes every copy of every doorbell.
func (s *bells) close() {
	s.mu.Lock()
	open := s.open
	s.open = map[bellKey]*bell{}
	s.mu.Unlock()
	for _, b := range open {
		b.close()
		s.keep.Drop(b.name)
	}
}
