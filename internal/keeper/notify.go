package keeper

import (
	"cmp"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/ivtd/ivt/internal/kernel"
)

// A store is where the keeper's essentials outlive the keeper: the descriptor store of systemd (sd_pid_notify_with_fds(3),
// FDSTORE=1). Without systemd there is none, and every method does nothing.
//
// In there are the memory, a copy of the keeper's end of the socket from its worker (what the worker has sent is in it and outlives both),
// and each file that is held, once: systemd takes a second copy of the same open file for the first and drops it. Under which
// name a slot's descriptors are stored stands in the slot.
type store struct {
	socket int
	path   string
	log    *slog.Logger
	memory *Memory
	limit  int
	names  map[uint32]*stored
	files  map[identity][]*stored // those of one identity in the order of CompareFiles
	last   uint32                 // the highest name that was ever given
	unused []uint32               // names below it
	full   bool                   // and that was said
}

// identity is what fstat(2) tells of a file. All eventfds have one.
type identity struct{ device, inode uint64 }

// stored is one file in the store, with a copy of ours.
type stored struct {
	name uint32
	fd   int
	id   identity
	uses int // descriptors of slots that are this file
}

// newStore needs NOTIFY_SOCKET. What systemd says of the store's size it says in FDSTORE, from version 254 on.
func newStore(path string, log *slog.Logger) *store {
	s := &store{socket: -1, log: log, limit: storeLimit, names: map[uint32]*stored{}, files: map[identity][]*stored{}}
	if path == "" {
		return s
	}
	socket, err := kernel.DatagramSocket()
	if err != nil {
		log.Error("no descriptor store", "err", err)
		return s
	}
	s.socket, s.path = socket, path
	if n, err := strconv.Atoi(os.Getenv("FDSTORE")); err == nil {
		s.limit = max(0, min(s.limit, n-2)) // memory and control are in there, too
	}
	log.Info("what is kept is in systemd's descriptor store, too", "descriptors", s.limit)
	return s
}

// exists reports whether there is a descriptor store.
func (s *store) exists() bool { return s.socket >= 0 }

func (s *store) notify(text string, fds ...int) {
	if !s.exists() {
		return
	}
	if err := kernel.SendTo(s.socket, s.path, []byte(text), fds...); err != nil {
		s.log.Error("descriptor store", "err", err)
	}
}

// add stores one descriptor. FDPOLL=0: systemd must not drop a lifeline because it hung up; we want to see that.
func (s *store) add(name string, fd int) { s.notify("FDSTORE=1\nFDPOLL=0\nFDNAME="+name, fd) }

func (s *store) remove(name string) { s.notify("FDSTOREREMOVE=1\nFDNAME=" + name) }

// setControl stores the keeper's end of the socket from a new worker, instead of the former one's.
func (s *store) setControl(fd int) {
	s.remove(controlName)
	s.add(controlName, fd)
}

// put stores the descriptors of a slot, all or none.
func (s *store) put(slot int, fds []int) {
	if !s.exists() {
		return
	}
	var files []*stored
	for _, fd := range fds {
		f := s.file(fd)
		if f == nil {
			s.release(files)
			files = nil
			break
		}
		f.uses++
		files = append(files, f)
	}
	for i := range MaxDescriptors {
		var name uint32
		if i < len(files) {
			name = files[i].name
		}
		s.memory.slot(slot).name(i).Store(name)
	}
}

// drop takes out what no other slot has.
func (s *store) drop(slot int) {
	if !s.exists() {
		return
	}
	var files []*stored
	for i := range MaxDescriptors {
		if f := s.names[s.memory.slot(slot).name(i).Swap(0)]; f != nil {
			files = append(files, f)
		}
	}
	s.release(files)
}

// file finds the open file behind fd in the store, or stores it; nil if there is no room.
func (s *store) file(fd int) *stored {
	device, inode, err := kernel.FileIdentity(fd)
	if err != nil {
		return nil
	}
	id := identity{device, inode}
	at, found := s.search(id, fd)
	if found {
		return s.files[id][at]
	}
	if len(s.names) >= s.limit {
		if !s.full {
			s.log.Warn("the descriptor store is full: what is connected from now on survives the worker, but not the keeper", "descriptors", len(s.names))
		}
		s.full = true
		return nil
	}
	copied, err := kernel.Duplicate(fd)
	if err != nil {
		s.log.Error("descriptor store", "err", err)
		return nil
	}
	f := &stored{name: s.newName(), fd: copied, id: id}
	s.names[f.name] = f
	s.files[id] = slices.Insert(s.files[id], at, f)
	s.add(nameOf(f.name), fd)
	return f
}

func (s *store) search(id identity, fd int) (at int, found bool) {
	return slices.BinarySearchFunc(s.files[id], fd, func(f *stored, fd int) int {
		order, err := kernel.CompareFiles(f.fd, fd)
		if err != nil {
			return cmp.Compare(f.fd, fd) // without kcmp(2) every descriptor counts as a file of its own
		}
		return order
	})
}

func (s *store) newName() uint32 {
	if n := len(s.unused); n > 0 {
		name := s.unused[n-1]
		s.unused = s.unused[:n-1]
		return name
	}
	s.last++
	return s.last
}

func (s *store) release(files []*stored) {
	for _, f := range files {
		if f.uses--; f.uses > 0 {
			continue
		}
		if at, found := s.search(f.id, f.fd); found {
			if s.files[f.id] = slices.Delete(s.files[f.id], at, at+1); len(s.files[f.id]) == 0 {
				delete(s.files, f.id)
			}
		}
		delete(s.names, f.name)
		s.unused = append(s.unused, f.name)
		s.remove(nameOf(f.name))
		kernel.Close(f.fd)
	}
}

// restore takes over what a former keeper stored, and returns what is held by that. By an upgrade in place everything is held
// already. A slot of which not everything came back is left out.
func (s *store) restore(in *Inherited) (held map[int][]int) {
	if held = in.Held; held == nil {
		held = map[int][]int{}
		for i := range s.memory.used() {
			if fds := s.back(i, in.stored); len(fds) > 0 {
				held[i] = fds
			}
		}
	}
	for slot, fds := range held {
		for i, fd := range fds {
			s.known(s.memory.slot(slot).name(i).Load(), fd)
		}
	}
	for name := range s.last {
		if s.names[name] == nil && name > 0 {
			s.unused = append(s.unused, name)
		}
	}
	for name, fd := range in.stored {
		if s.names[name] == nil {
			s.remove(nameOf(name))
		}
		kernel.Close(fd)
	}
	in.stored = nil
	return held
}

// back returns copies of a slot's descriptors, nil if there is none, or one is missing or not the one that was given.
func (s *store) back(n int, stored map[uint32]int) (fds []int) {
	slot, whole := s.memory.slot(n), true
	for i := 0; whole && i < MaxDescriptors && slot.name(i).Load() != 0; i++ {
		fd, ok := stored[slot.name(i).Load()]
		if ok {
			fd, ok = copyOf(fd)
		}
		if whole = ok; ok {
			fds = append(fds, fd)
		}
	}
	if whole && slot.gave(fds) {
		return fds
	}
	closeAll(fds)
	for i := range MaxDescriptors {
		slot.name(i).Store(0)
	}
	return nil
}

func copyOf(fd int) (int, bool) {
	fd, err := kernel.Duplicate(fd)
	return fd, err == nil
}

// known notes a descriptor of a slot that is in the store already.
func (s *store) known(name uint32, fd int) {
	if name == 0 || !s.exists() {
		return
	}
	s.last = max(s.last, name)
	f := s.names[name]
	if f == nil {
		device, inode, err := kernel.FileIdentity(fd)
		copied, ok := copyOf(fd)
		if err != nil || !ok {
			return
		}
		f = &stored{name: name, fd: copied, id: identity{device, inode}}
		at, _ := s.search(f.id, fd)
		s.names[name] = f
		s.files[f.id] = slices.Insert(s.files[f.id], at, f)
	}
	f.uses++
}

// clear takes out everything that was inherited.
func (s *store) clear(in *Inherited) {
	for _, name := range in.names {
		s.remove(name)
	}
}

// all are the names of what is stored, for the next program of an upgrade in place.
func (s *store) all() []string {
	names := []string{memoryName, controlName}
	for _, n := range slices.Sorted(maps.Keys(s.names)) {
		names = append(names, nameOf(n))
	}
	return names
}

// barrierLimit is how long systemd may take to read what it was sent.
const barrierLimit = 5 * time.Second

// barrier returns when systemd has taken everything that it was sent (sd_notify_barrier(3)).
func (s *store) barrier() {
	if !s.exists() {
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		s.log.Error("descriptor store", "err", err)
		return
	}
	defer r.Close()
	s.notify("BARRIER=1", int(w.Fd())) // systemd closes its copy when it has come to it
	w.Close()
	r.SetReadDeadline(time.Now().Add(barrierLimit)) // pipes have deadlines
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		s.log.Warn("systemd has not taken what it was to store", "err", err)
	}
}
