//go:build linux

package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Block is Wait for a thread of its own: it blocks in epoll_wait(2) instead of in Go's poller, which saves some
// microseconds a wake-up and costs the thread. Close does not end it: add a descriptor that can be made ready.
func (e *Epoll) Block(ready []Ready) (int, error) {
	if len(e.raw) < len(ready) {
		e.raw = make([]unix.EpollEvent, len(ready))
	}
	var n int
	var failed error
	err := e.conn.Control(func(epfd uintptr) {
		for failed = unix.EINTR; failed == unix.EINTR; {
			n, failed = unix.EpollWait(int(epfd), e.raw[:len(ready)], -1)
		}
	})
	if err != nil {
		return 0, err
	}
	for i, event := range e.raw[:max(n, 0)] {
		ready[i] = Ready{Key: uint64(uint32(event.Fd)) | uint64(uint32(event.Pad))<<32, Events: event.Events}
	}
	return n, failed
}

// Receive takes one record that is queued on fd, without waiting, whatever the descriptor's flags, and without
// allocating. EAGAIN: none; 0 and no error: the end, on a socket whose records are never empty.
func Receive(fd int, record []byte) (int, error) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&record[0])), uintptr(len(record)), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	}
}

// SetNonblock sets O_NONBLOCK, which every copy of the descriptor shares.
func SetNonblock(fd int) error { return unix.SetNonblock(fd, true) }

// SetBlocking clears O_NONBLOCK, which every copy of the descriptor shares.
func SetBlocking(fd int) error { return unix.SetNonblock(fd, false) }

// DuplicateTo makes number a copy of fd that programs executed later inherit (dup3(2)); what was there is closed.
// fd must be another number.
func DuplicateTo(fd, number int) error { return unix.Dup3(fd, number, 0) }

// DuplicateAbove returns a copy of fd, close-on-exec, at least number (fcntl(2), F_DUPFD_CLOEXEC).
func DuplicateAbove(fd, number int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, number)
}
