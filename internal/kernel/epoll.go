//go:build linux

package kernel

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Events to wait for, of epoll_ctl(2). EventHangup and EventError are always reported.
const (
	EventIn         = unix.EPOLLIN
	EventOut        = unix.EPOLLOUT
	EventPeerClosed = unix.EPOLLRDHUP
	EventHangup     = unix.EPOLLHUP
	EventError      = unix.EPOLLERR
	OneShot         = unix.EPOLLONESHOT
)

// A Ready is one descriptor that became ready, by the key it was added with.
type Ready struct {
	Key    uint64
	Events uint32
}

// An Epoll waits for many descriptors that are plain integers (epoll(7)). All of them together cost one
// goroutine, the one that calls Wait. The other methods may be called from any goroutine.
//
// The set itself is in Go's poller, so that waiting pins no thread and Close ends it.
type Epoll struct {
	file *os.File
	conn syscall.RawConn
	raw  []unix.EpollEvent

	mu sync.RWMutex // shared by those who use fd, against Close; conn.Control would do, but allocates
	fd int          // -1: closed
}

// NewEpoll returns an empty set.
func NewEpoll() (*Epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // what makes os.NewFile use the poller
		unix.Close(fd)
		return nil, err
	}
	e := &Epoll{file: os.NewFile(uintptr(fd), "epoll"), fd: fd}
	e.conn, err = e.file.SyscallConn()
	return e, err
}

// Add waits for events on fd and reports them under key, as long as they last.
// EEXIST: it is in the set; EPERM: it is of a kind that cannot be waited for (a VFIO device, a regular file).
func (e *Epoll) Add(fd int, events uint32, key uint64) error {
	return e.control(unix.EPOLL_CTL_ADD, fd, events, key)
}

// Modify changes events and key of fd. ENOENT: it is not in the set.
func (e *Epoll) Modify(fd int, events uint32, key uint64) error {
	return e.control(unix.EPOLL_CTL_MOD, fd, events, key)
}

// Remove forgets fd. It must come before fd is closed where copies of fd exist: the set keeps the open
// file, not the number. An event that Wait returned before may still be in the caller's hands.
func (e *Epoll) Remove(fd int) error {
	return e.control(unix.EPOLL_CTL_DEL, fd, 0, 0)
}

func (e *Epoll) control(operation, fd int, events uint32, key uint64) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.fd < 0 {
		return os.ErrClosed
	}
	event := unix.EpollEvent{Events: events, Fd: int32(uint32(key)), Pad: int32(key >> 32)}
	return unix.EpollCtl(e.fd, operation, fd, &event)
}

// Wait fills ready with what is ready now, at least one, and returns how many; it waits if there is none.
// Descriptors that stay ready are reported in turn, so that each is seen however busy the others are.
// After Close it returns os.ErrClosed. One goroutine at a time may wait.
func (e *Epoll) Wait(ready []Ready) (int, error) {
	if len(e.raw) < len(ready) {
		e.raw = make([]unix.EpollEvent, len(ready))
	}
	var n int
	var failed error
	err := e.conn.Read(func(epfd uintptr) bool {
		for failed = unix.EINTR; failed == unix.EINTR; {
			n, failed = unix.EpollWait(int(epfd), e.raw[:len(ready)], 0)
		}
		return n > 0 || failed != nil
	})
	if err != nil {
		return 0, os.ErrClosed // there is no deadline: it is the only reason
	}
	for i, event := range e.raw[:max(n, 0)] {
		ready[i] = Ready{Key: uint64(uint32(event.Fd)) | uint64(uint32(event.Pad))<<32, Events: event.Events}
	}
	return n, failed
}

// Close ends the waiting and lets the set go, not the descriptors in it.
func (e *Epoll) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fd = -1
	return e.file.Close()
}
