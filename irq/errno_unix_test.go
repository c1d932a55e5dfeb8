//go:build unix

package irq_test

import (
	"syscall"
	"testing"

	"github.com/ivtd/ivt/irq"
)

// numberOf is what the system itself calls that code: here the errno.
func numberOf(_ irq.Code, errno syscall.Errno) syscall.Errno { return errno }

func TestEveryCodeHasAnErrno(t *testing.T) {
	for _, c := range irq.Codes() {
		if c.Errno() == 0 {
			t.Errorf("%v has none", c)
		}
	}
	if irq.Code(4242).Errno() != 0 {
		t.Error("an unknown code has one")
	}
}
