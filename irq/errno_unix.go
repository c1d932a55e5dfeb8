//go:build unix

package irq

import (
	"errors"
	"syscall"
)

func (c Code) matchesErrno(target error) bool {
	errno, ok := target.(syscall.Errno)
	return ok && errno != 0 && errno == c.Errno()
}

// Errno returns the errno of the same sense, 0 if the code is not one of this package.
func (c Code) Errno() syscall.Errno {
	switch c {
	case ErrAlreadyConnected, ErrStillConnected, ErrBusy:
		return syscall.EBUSY
	case ErrInvalidParameter:
		return syscall.EINVAL
	case ErrNotSupported:
		return syscall.EOPNOTSUPP
	case ErrNoSuchDevice:
		return syscall.ENODEV
	case ErrNotConnected:
		return syscall.ENOTCONN
	case ErrNoResources:
		return syscall.ENOSPC
	case ErrAccessDenied:
		return syscall.EACCES
	case ErrTimeout:
		return syscall.ETIMEDOUT
	case ErrCancelled:
		return syscall.ECANCELED
	}
	return 0
}

// matchesCause reports whether err is, or wraps, the errno of the same sense.
func (c Code) matchesCause(err error) bool { return errors.Is(err, c.Errno()) }
