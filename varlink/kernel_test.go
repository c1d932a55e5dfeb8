//go:build linux

package varlink

import (
	"net"
	"testing"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/test/vm/guest"
)

//vm:run ^Test

// TestKernel prints what of newer kernels there is here; the other tests pass with and without. It also
// makes this package one of those that make test-vm runs on all its kernels.
func TestKernel(t *testing.T) {
	t.Logf("Linux %s", guest.Release())
	l, err := Listen(bounded(t), t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.UnixListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := prepareListener(raw, false); err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		t.Logf("lets nobody send descriptors (SO_PASSRIGHTS, 6.16): %v", kernel.RefusesDescriptors(int(fd)))
	})
	if err != nil {
		t.Fatal(err)
	}
	pidfd, exact, err := dial(t, serve(t, nil).address).Peer().Pidfd()
	if err != nil {
		t.Fatal(err)
	}
	kernel.Close(pidfd)
	t.Logf("keeps the peer's pidfd (SO_PEERPIDFD, 6.5): %v", exact)
}
