package irq

import "syscall"

func (c Code) matchesErrno(target error) bool {
	errno, ok := target.(syscall.Errno)
	return ok && errno != 0 && uint32(errno) == uint32(c)
}
