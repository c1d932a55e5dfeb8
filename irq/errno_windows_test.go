package irq_test

import (
	"syscall"

	"github.com/ivtd/ivt/irq"
)

// numberOf is what the system itself calls that code: here the Win32 number.
func numberOf(c irq.Code, _ syscall.Errno) syscall.Errno { return syscall.Errno(c) }
