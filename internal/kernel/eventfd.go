//go:build linux

package kernel

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Eventfd returns a new eventfd (eventfd(2)) with count 0, non-blocking and close-on-exec.
func Eventfd() (int, error) {
	return unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
}

// ClientEventfd returns a new eventfd that blocks, for a client that simply reads it. O_NONBLOCK belongs to
// all copies: a client may set it, so nobody else may rely on it.
func ClientEventfd() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC) }

// ReadEventfd takes the count of an eventfd and leaves 0, or returns EAGAIN if it is 0. The eventfd
// must be non-blocking or known to be signalled.
func ReadEventfd(fd int) (uint64, error) {
	var b [8]byte
	for {
		_, err := unix.Read(fd, b[:])
		if err == unix.EINTR {
			continue
		}
		return binary.NativeEndian.Uint64(b[:]), err
	}
}

// AwaitEventfd waits in read(2) until the count of an eventfd is not 0, takes it and leaves 0. The eventfd is blocking; should
// somebody with a copy have set O_NONBLOCK, it waits in poll(2). EINVAL: it is no eventfd.
func AwaitEventfd(fd int) (count uint64, err error) {
	for {
		n, _, errno := unix.Syscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&count)), unsafe.Sizeof(count))
		switch errno {
		case 0:
			if n < unsafe.Sizeof(count) {
				return 0, unix.EINVAL
			}
			return count, nil
		case unix.EINTR:
		case unix.EAGAIN:
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != nil && err != unix.EINTR {
				return 0, err
			}
		default:
			return 0, errno
		}
	}
}

// WriteEventfd adds n to the count. EAGAIN says that the count is saturated. It must not be used on an
// eventfd that a client holds: the client shares O_NONBLOCK and could block the writer for ever.
func WriteEventfd(fd int, n uint64) error {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], n)
	for {
		_, err := unix.Write(fd, b[:])
		if err == unix.EINTR {
			continue
		}
		return err
	}
}
