package irq

import (
	"errors"
	"syscall"
)

func (c Code) matchesErrno(target error) bool {
	errno, ok := target.(syscall.Errno)
	return ok && errno != 0 && uint32(errno) == uint32(c)
}

// matchesCause reports whether err is, or wraps, that Win32 error.
func (c Code) matchesCause(err error) bool { return errors.Is(err, syscall.Errno(c)) }
