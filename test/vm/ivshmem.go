package vm

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const ivshmemVectors = 4

// ivshmemServer introduces ivshmem-doorbell devices to each other, as QEMU's
// ivshmem-server does, which Debian does not ship. Protocol:
// docs/specs/ivshmem-spec.rst of QEMU, "Client-Server protocol".
//
// All peers are known from the start, so each gets all its messages at once
// and there is nothing to do afterwards but keep the connections open.
type ivshmemServer struct {
	ends   []*os.File // ours, kept open until the VM is gone
	files  []*os.File // the peers', for QEMU
	shared *os.File
}

func newIvshmemServer(peers int) (s *ivshmemServer, err error) {
	s = &ivshmemServer{}
	defer func() {
		if err != nil {
			s.close()
			err = fmt.Errorf("ivshmem server: %w", err)
		}
	}()
	fd, err := unix.MemfdCreate("ivshmem", unix.MFD_CLOEXEC)
	if err != nil {
		return s, err
	}
	s.shared = os.NewFile(uintptr(fd), "ivshmem")
	if err := s.shared.Truncate(1 << 20); err != nil {
		return s, err
	}
	doorbells := make([][]int, peers)
	defer func() {
		for _, fds := range doorbells {
			closeAll(fds)
		}
	}()
	for i := range doorbells {
		if doorbells[i], err = eventfds(ivshmemVectors); err != nil {
			return s, err
		}
	}
	for id := range peers {
		if err := s.connect(id, doorbells); err != nil {
			return s, err
		}
	}
	return s, nil
}

// connect makes the connection of one peer and says on it all there is to say:
// version, the peer's id, the shared memory, then a doorbell of every peer at a
// time, its own last.
func (s *ivshmemServer) connect(id int, doorbells [][]int) error {
	ours, theirs, err := socketPair("ivshmem")
	if err != nil {
		return err
	}
	s.ends, s.files = append(s.ends, ours), append(s.files, theirs)
	fd := int(ours.Fd())
	if err := say(fd, 0, -1); err != nil {
		return err
	}
	if err := say(fd, int64(id), -1); err != nil {
		return err
	}
	if err := say(fd, -1, int(s.shared.Fd())); err != nil {
		return err
	}
	for i := range doorbells {
		peer := (id + 1 + i) % len(doorbells)
		for _, bell := range doorbells[peer] {
			if err := say(fd, int64(peer), bell); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *ivshmemServer) close() {
	for _, f := range append(append(s.ends, s.files...), s.shared) {
		if f != nil {
			f.Close()
		}
	}
}

// say sends a number, with a descriptor unless it is negative.
func say(fd int, n int64, pass int) error {
	var rights []byte
	if pass >= 0 {
		rights = unix.UnixRights(pass)
	}
	return unix.Sendmsg(fd, binary.LittleEndian.AppendUint64(nil, uint64(n)), rights, nil, 0)
}

func eventfds(n int) (fds []int, err error) {
	for range n {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			closeAll(fds)
			return nil, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// socketPair returns the two ends of a stream; the first is in Go's poller.
func socketPair(name string) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name+" (QEMU)"), nil
}
