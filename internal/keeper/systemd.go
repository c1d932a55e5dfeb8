package keeper

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/internal/kernel"
)

// Names in the descriptor store. They are short, because systemd hands all of them back in one environment string, of
// which exec accepts 128 KiB: three characters each allow about 30,000 descriptors.
const (
	memoryName  = "m"
	controlName = "c"
	nameLength  = 3
	storeLimit  = 120 << 10 / (nameLength + 1)
	alphabet    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
)

// nameOf writes a number from 1 on as three characters.
func nameOf(n uint32) string {
	name := make([]byte, nameLength)
	for at := nameLength - 1; at >= 0; at-- {
		name[at] = alphabet[n%uint32(len(alphabet))]
		n /= uint32(len(alphabet))
	}
	return string(name)
}

func parseName(name string) (n uint32, ok bool) {
	if len(name) != nameLength {
		return 0, false
	}
	for at := range nameLength {
		digit := strings.IndexByte(alphabet, name[at])
		if digit < 0 {
			return 0, false
		}
		n = n*uint32(len(alphabet)) + uint32(digit)
	}
	return n, n > 0
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
	in, sockets = sorted(names[:count], func(n int) int { return firstListen + n })
	if in.Memory < 0 {
		in.Close()
		return nil, sockets, nil
	}
	return in, sockets, nil
}

// firstListen is the first descriptor that systemd passes.
const firstListen = 3

// sorted tells by their names what descriptors are.
func sorted(names []string, descriptor func(n int) int) (in *Inherited, sockets []*os.File) {
	in = &Inherited{Memory: -1, control: -1, stored: map[uint32]int{}}
	for n, name := range names {
		fd := descriptor(n)
		number, isStored := parseName(name)
		switch {
		case name == memoryName:
			in.Memory = first(in.Memory, fd)
		case name == controlName:
			in.control = first(in.control, fd)
		case isStored:
			if former, twice := in.stored[number]; twice {
				fd = first(former, fd)
			}
			in.stored[number] = fd
		default:
			sockets = append(sockets, os.NewFile(uintptr(fd), name))
			continue
		}
		in.names = append(in.names, name)
	}
	return in, sockets
}

// first is the one of two that counts if both came under one name. The other one is closed.
func first(a, b int) int {
	if a < 0 {
		return b
	}
	kernel.Close(b)
	return a
}
