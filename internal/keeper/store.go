package keeper

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
)

// ErrFull says that every slot is in use.
var ErrFull = errors.New("every slot of the kept state is in use")

// A Store is the worker's side: what it is given is back after the worker's death. Its methods may be called
// from any goroutine. A Store without a keeper (NewLocal) remembers until the process ends.
type Store struct {
	memory  *Memory
	control int // -1 without a keeper
	syncing sync.Mutex

	mu    sync.Mutex
	index map[string]int
	free  []int // slots that were used and are not; slots from next on never were
	next  int
	held  int // descriptors that the keeper has for us
	most  int // that it can have; 0: any number
}

// An Entry is what was put under one key. The descriptors are the caller's.
type Entry struct {
	Value       []byte
	Descriptors []int
	Counters    [Counters]uint64
	change      uint64
}

// NewLocal returns a store that keeps nothing beyond this process.
func NewLocal(slots int, instance string) (*Store, error) {
	m, err := NewMemory(slots, instance, bootID())
	if err != nil {
		return nil, err
	}
	return &Store{memory: m, control: -1, index: map[string]int{}}, nil
}

// capacity is how many descriptors the keeper can have for its worker. Nobody can ask it when it has none left to hear with, so the
// worker sees to it that it never comes to that: both have the same limit. Beside a descriptor store the keeper has each twice, and
// what it was told last it may not have heard yet.
func capacity() int {
	_, limit := kernel.DescriptorsInUse()
	if limit == 0 || limit > 1<<30 {
		return 0
	}
	room := int(limit) - int(limit)/16 - 64
	if os.Getenv("NOTIFY_SOCKET") != "" {
		room /= 2
	}
	return max(room, 1)
}

// Memory is the shared memory below.
func (s *Store) Memory() *Memory { return s.memory }

// Kept reports whether what is put survives this process.
func (s *Store) Kept() bool { return s.control >= 0 }

// Put stores value and copies of the descriptors under key, replacing what was there in one step.
// The descriptors stay the caller's. Errors: ErrFull, or a key, value or number of descriptors beyond the limits.
func (s *Store) Put(key string, value []byte, fds ...int) error {
	if len(key) == 0 || len(key) > keySize || len(value) > MaxValue || len(fds) > MaxDescriptors {
		return fmt.Errorf("keep %q: %d bytes and %d descriptors are beyond the limits of a slot", key, len(value), len(fds))
	}
	inodes := make([]uint64, len(fds))
	for i, fd := range fds {
		_, inode, err := kernel.FileIdentity(fd)
		if err != nil {
			return fmt.Errorf("keep %q: descriptor %d: %w", key, i, err)
		}
		inodes[i] = inode
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, replaced := s.index[key]
	more := len(fds)
	if replaced {
		more -= s.memory.slot(old).descriptors()
	}
	if more > 0 && s.most > 0 && s.held+more > s.most {
		return fmt.Errorf("keep %q: the keeper has %d descriptors, which is all that RLIMIT_NOFILE lets it: %w", key, s.held, syscall.EMFILE)
	}
	i, err := s.take()
	if err != nil {
		return fmt.Errorf("keep %q: %w", key, err)
	}
	now := s.memory.slot(i)
	now.write(key, value, inodes, s.memory.nextChange())
	if err := s.tell(opPut, i, fds); err != nil {
		now.state().Store(slotFree)
		s.free = append(s.free, i)
		return fmt.Errorf("keep %q: %w", key, err)
	}
	s.held += len(fds)
	if replaced {
		for c := range Counters {
			now.counter(c).Store(s.memory.slot(old).counter(c).Load())
		}
	}
	now.state().Store(slotLive)
	s.index[key] = i
	if replaced {
		return s.release(old)
	}
	return nil
}

// Drop forgets key and lets its descriptors go. An unknown key does nothing.
func (s *Store) Drop(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[key]
	if !ok {
		return nil
	}
	delete(s.index, key)
	return s.release(i)
}

// Counter is counter c of key, to be changed by the worker at any time and there again after its death; nil if
// the key is unknown. It is valid until the key is put anew or dropped.
func (s *Store) Counter(key string, c int) *atomic.Uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.index[key]; ok {
		return s.memory.slot(i).counter(c)
	}
	return nil
}

// Free is how many slots are left.
func (s *Store) Free() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.free) + s.memory.slots - s.next
}

// Keys returns all keys, sorted.
func (s *Store) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.index))
}

// Close leaves everything kept.
func (s *Store) Close() error {
	if s.control >= 0 {
		return errors.Join(kernel.Close(s.control), s.memory.Close())
	}
	return s.memory.Close()
}

// Ready tells the keeper that this worker serves; Stop that it ends for good; Upgrade asks for a new program file.
func (s *Store) Ready() error   { return s.say(opReady) }
func (s *Store) Stop() error    { return s.say(opStop) }
func (s *Store) Upgrade() error { return s.say(opUpgrade) }

// Sync returns when the keeper has done all that it was told before: what was dropped is closed.
func (s *Store) Sync() error {
	if s.control < 0 {
		return nil
	}
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if err := s.say(opSync); err != nil {
		return err
	}
	buffer := make([]byte, maxRecord)
	n, fds, err := kernel.ReceiveRights(s.control, buffer)
	if err != nil {
		return err
	}
	closeAll(fds)
	op, _, err := decodeRecord(buffer[:n], len(fds), s.memory.slots)
	if err == nil && op != opEnd {
		err = fmt.Errorf("unexpected record %d", op)
	}
	return err
}

func (s *Store) say(op uint32) error {
	if s.control < 0 {
		return nil
	}
	return s.alive(kernel.SendRights(s.control, encodeRecord(op)))
}

func (s *Store) take() (int, error) {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i, nil
	}
	if s.next == s.memory.slots {
		return 0, ErrFull
	}
	s.next++
	s.memory.setUsed(s.next)
	return s.next - 1, nil
}

func (s *Store) release(i int) error {
	slot := s.memory.slot(i)
	had := slot.descriptors()
	slot.state().Store(slotFree)
	s.free = append(s.free, i)
	if had == 0 {
		return nil
	}
	s.held -= had
	return s.tell(opDrop, i, nil)
}

func (s *Store) tell(op uint32, slot int, fds []int) error {
	if s.control < 0 || op == opPut && len(fds) == 0 {
		return nil
	}
	return s.alive(kernel.SendRights(s.control, encodeRecord(op, pair{uint32(slot), uint32(len(fds))}), fds...))
}

// alive ends this process if the keeper is dead: the kernel is about to (PR_SET_PDEATHSIG), and until then nobody is
// to hear an answer that is kept nowhere.
func (s *Store) alive(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return err
}
