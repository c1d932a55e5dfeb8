package keeper

import (
	"fmt"
	"os"
	"strings"

	"github.com/ivtd/ivt/internal/kernel"
)

// Open is the worker's first step: it maps the memory, finds what former workers kept in the table of what it was born with, and
// drops what they had not finished. It owns the three descriptors from then on. What could not be taken over is in problems, one
// line each; its descriptors are closed. Errors: ErrForeignMemory, or a table that is none.
func Open(control, memory, table int) (s *Store, kept map[string]*Entry, problems []string, err error) {
	m, err := OpenMemory(memory, bootID())
	if err != nil {
		return nil, nil, nil, err
	}
	m.Generation().Add(1)
	s = &Store{memory: m, control: control, index: make(map[string]int, m.used()), most: capacity()}
	held, err := readTable(table, m.slots)
	if err != nil {
		return nil, nil, nil, err
	}
	kept = make(map[string]*Entry, len(held))
	end := m.used()
	for slot := range held {
		end = max(end, slot+1)
	}
	for i := range end {
		slot := m.slot(i)
		state := slot.state().Load()
		if state == slotFree && held[i] == nil {
			continue
		}
		if problem := s.adopt(i, state, held[i], kept); problem != "" {
			problems = append(problems, problem)
		}
		s.next = i + 1
	}
	s.collectFree()
	s.held = 0
	for _, e := range kept {
		s.held += len(e.Descriptors)
	}
	return s, kept, problems, nil
}

// adopt takes one slot over, or drops it and says why.
func (s *Store) adopt(i int, state uint32, fds []int, kept map[string]*Entry) (problem string) {
	slot := s.memory.slot(i)
	key, value, readable := slot.read()
	reject := func(why string) string {
		closeAll(fds)
		slot.state().Store(slotFree)
		if err := s.tell(opDrop, i, nil); err != nil {
			why += " (" + err.Error() + ")"
		}
		return fmt.Sprintf("slot %d (%q): %s", i, key, why)
	}
	switch {
	case state == slotIntent:
		reject("")
		return "" // a former worker died before it was done; nobody was told that it is held
	case state != slotLive || !readable:
		return reject(fmt.Sprintf("damaged, state %d", state))
	case len(fds) != slot.descriptors():
		return reject(fmt.Sprintf("%d descriptors came back, %d were given", len(fds), slot.descriptors()))
	}
	entry := &Entry{Value: value, Descriptors: fds, change: slot.change()}
	for c := range Counters {
		entry.Counters[c] = slot.counter(c).Load()
	}
	if former, twice := kept[key]; twice {
		// Killed between "the new one is live" and "the old one is free": the younger counts.
		if former.change > entry.change {
			reject("")
			return ""
		}
		old := s.index[key]
		closeAll(former.Descriptors)
		if err := s.release(old); err != nil {
			problem = err.Error()
		}
	}
	kept[key], s.index[key] = entry, i
	return problem
}

func (s *Store) collectFree() {
	s.free = s.free[:0]
	for i := range s.next {
		if s.memory.slot(i).state().Load() == slotFree {
			s.free = append(s.free, i)
		}
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		kernel.Close(fd) // Linux frees the descriptor in any case
	}
}

// bootID tells one boot of the machine from another; empty where the kernel does not say.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
