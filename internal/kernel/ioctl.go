//go:build linux

package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctl makes one call whose argument is a number. The result can be positive: some calls answer with it.
func ioctl(fd int, request, argument uintptr) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, argument)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR:
			continue
		}
		return -1, errno
	}
}

// ioctlOf makes one call whose argument is a structure (or array, or string) that argument points to.
func ioctlOf[T any](fd int, request uintptr, argument *T) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(argument)))
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR:
			continue
		}
		return -1, errno
	}
}
