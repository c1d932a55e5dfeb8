package keeper

import (
	"fmt"
	"os"
	"strings"

	"github.com/ivtd/ivt/internal/kernel"
)

// Open is the worker's first step: it maps the memory, gets back what former workers kept, and drops what they
// had not finished. It owns both descriptors from then on. What could not be taken over is in problems, one line each; its
// descriptors are closed. Errors: ErrForeignMemory, or a keeper that does not answer as it should.
func Open(control, memory int) (s *Store, kept map[string]Entry, problems []string, err error) {
	m, err := OpenMemory(memory, bootID())
	if err != nil {
		return nil, nil, nil, err
	}
	m.Generation().Add(1)
	s = &Store{memory: m, control: control, index: make(map[string]int, m.used()), most: capacity()}
	held, err := s.receive(make(map[int][]int, m.used())) // the keeper has asked itself
	if err != nil {
		return nil, nil, nil, fmt.Errorf("receive what the keeper holds: %w", err)
	}
	kept = make(map[string]Entry, len(held))
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

// receive puts all descriptors that the keeper sends into held, by slot, until it says that this is the end.
func (s *Store) receive(held map[int][]int) (map[int][]int, error) {
	buffer := make([]byte, maxRecord)
	for {
		n, fds, err := kernel.ReceiveRights(s.control, buffer)
		if err != nil {
			return nil, err
		}
		op, pairs, err := decodeRecord(buffer[:n], len(fds), s.memory.slots)
		switch {
		case err != nil:
			closeAll(fds)
			return nil, err
		case op == opEnd:
			return held, nil
		case op != opPut:
			closeAll(fds)
			return nil, fmt.Errorf("unexpected record %d", op)
		}
		for _, p := range pairs {
			closeAll(held[int(p.slot)])
			held[int(p.slot)], fds = fds[:p.count:p.count], fds[p.count:]
		}
	}
}

// adopt takes one slot over, or drops it and says why.
func (s *Store) adopt(i int, state uint32, fds []int, kept map[string]Entry) (problem string) {
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
	entry := Entry{Value: value, Descriptors: fds, change: slot.change()}
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
