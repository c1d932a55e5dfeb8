package source

import (
	"errors"
	"syscall"
)

// isErrno reports whether err is that errno, by number: an irq.Code matches several, which is not meant here.
func isErrno(err error, want syscall.Errno) bool {
	var e syscall.Errno
	return errors.As(err, &e) && e == want
}
