package keeper

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/internal/kernel"
)

// The descriptor store of systemd (sd_pid_notify_with_fds(3), FDSTORE=1) outlives the keeper. Names are
// short, because systemd hands all of them back in one environment string, of which exec accepts
// 128 KiB: three characters each allow about 30,000 descriptors. Beyond storeLimit nothing more is stored, and that is said.
const (
	memoryName = "m"
	nameLength = 3
	storeLimit = 120 << 10 / (nameLength + 1)
	alphabet   = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
)

// A store is where the keeper's essentials outlive the keeper. Without systemd there is none.
type store struct {
	socket int
	path   string
	log    *slog.Logger
	count  int
	full   bool
}

func newStore(path string, log *slog.Logger) store {
	s := store{socket: -1, log: log}
	if path == "" {
		return s
	}
	socket, err := kernel.DatagramSocket()
	if err != nil {
		log.Error("no descriptor store", "err", err)
		return s
	}
	s.socket, s.path = socket, path
	return s
}

func (s *store) notify(text string, fds ...int) {
	if s.socket < 0 {
		return
	}
	if err := kernel.SendTo(s.socket, s.path, []byte(text), fds...); err != nil {
		s.log.Error("descriptor store", "err", err)
	}
}

// add stores one descriptor. FDPOLL=0: systemd must not drop a lifeline because it hung up; we want to see that.
func (s *store) add(name string, fd int) {
	if s.socket < 0 {
		return
	}
	if s.count >= storeLimit {
		if !s.full {
			s.log.Warn("the descriptor store is full: what is connected from now on survives the worker, but not the keeper", "descriptors", s.count)
		}
		s.full = true
		return
	}
	s.count++
	s.notify("FDSTORE=1\nFDPOLL=0\nFDNAME="+name, fd)
}

func (s *store) put(slot int, fds []int) {
	for i, fd := range fds {
		s.add(slotName(slot, i), fd)
	}
}

func (s *store) drop(slot, n int) {
	for i := range n {
		s.count--
		s.notify("FDSTOREREMOVE=1\nFDNAME=" + slotName(slot, i))
	}
}

func (s *store) clear(in *Inherited) {
	for _, name := range in.names {
		s.notify("FDSTOREREMOVE=1\nFDNAME=" + name)
	}
}

func slotName(slot, i int) string {
	n := slot*MaxDescriptors + i
	name := make([]byte, nameLength)
	for at := nameLength - 1; at >= 0; at-- {
		name[at] = alphabet[n%len(alphabet)]
		n /= len(alphabet)
	}
	return string(name)
}

func parseSlotName(name string) (slot, i int, ok bool) {
	if len(name) != nameLength {
		return 0, 0, false
	}
	n := 0
	for at := range nameLength {
		digit := strings.IndexByte(alphabet, name[at])
		if digit < 0 {
			return 0, 0, false
		}
		n = n*len(alphabet) + digit
	}
	return n / MaxDescriptors, n % MaxDescriptors, true
}

// FromSystemd sorts the descriptors that systemd passed (sd_listen_fds(3)) into sockets to listen on and the store's.
// Too few, too many, reordered or double ones do no harm: a slot that is not complete is left out, and
// Open says so. It returns nil if the store held no memory, and the sockets in any case.
func FromSystemd() (in *Inherited, sockets []*os.File, err error) {
	defer os.Unsetenv("LISTEN_PID")
	defer os.Unsetenv("LISTEN_FDS")
	defer os.Unsetenv("LISTEN_FDNAMES")
	if pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID")); pid != os.Getpid() {
		return nil, nil, nil
	}
	count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || count < 0 {
		return nil, nil, fmt.Errorf("LISTEN_FDS=%q is not a number", os.Getenv("LISTEN_FDS"))
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for len(names) < count {
		names = append(names, "")
	}
	for n, name := range names[:count] {
		if err := kernel.SetCloseOnExec(firstListen+n, true); err != nil {
			return nil, nil, fmt.Errorf("descriptor %d (%q) from systemd: %w", firstListen+n, name, err)
		}
	}
	p := sorted(names[:count], func(n int) int { return firstListen + n })
	p.set.complete()
	if p.set.Memory < 0 {
		p.set.closeHeld()
		return nil, p.sockets, nil
	}
	return p.set, p.sockets, nil
}

// firstListen is the first descriptor that systemd passes.
const firstListen = 3

// passed is what systemd passed, by what it is.
type passed struct {
	set     *Inherited
	sockets []*os.File
}

func sorted(names []string, descriptor func(n int) int) (p passed) {
	p.set = &Inherited{Memory: -1, Held: map[int][]int{}}
	for n, name := range names {
		fd := descriptor(n)
		slot, i, isSlot := parseSlotName(name)
		switch {
		case name == memoryName && p.set.Memory < 0:
			p.set.Memory = fd
			p.set.names = append(p.set.names, name)
		case isSlot:
			p.set.place(slot, i, fd)
			p.set.names = append(p.set.names, name)
		case name == memoryName:
			kernel.Close(fd) // a second memory; the first counts
		default:
			p.sockets = append(p.sockets, os.NewFile(uintptr(fd), name))
		}
	}
	return p
}

func (in *Inherited) place(slot, i, fd int) {
	fds := in.Held[slot]
	for len(fds) <= i {
		fds = append(fds, -1)
	}
	if fds[i] >= 0 {
		kernel.Close(fd) // twice under one name
		return
	}
	fds[i] = fd
	in.Held[slot] = fds
}

// complete leaves out slots with a gap.
func (in *Inherited) complete() {
	for slot, fds := range in.Held {
		for _, fd := range fds {
			if fd < 0 {
				for _, f := range fds {
					if f >= 0 {
						kernel.Close(f)
					}
				}
				delete(in.Held, slot)
				break
			}
		}
	}
}

func (in *Inherited) closeHeld() {
	for slot, fds := range in.Held {
		closeAll(fds)
		delete(in.Held, slot)
	}
}
