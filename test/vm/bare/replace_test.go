package bare

import (
	"testing"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/test/vm/guest"
)

// TestTheKernelReplacesTheFirstEventfdSilently is why ivt exists: whoever has a
// descriptor of a VFIO device takes the interrupts of whoever connected first.
// No call fails, and the first is told nothing.
func TestTheKernelReplacesTheFirstEventfdSilently(t *testing.T) {
	guest.Require(t)
	for _, tt := range []struct {
		device string
		index  int
		vector int
		// open returns what raises the interrupt once and what the device
		// says it did.
		open func(t *testing.T, addr string) (raise func(), raised func() bool)
	}{
		{"edu0", kernel.VFIOMSI, 0, raiseEdu},
		{"ivshmem0", kernel.VFIOMSIX, 2, raiseIvshmem},
		{"nic0", kernel.VFIOMSIX, 3, raiseE1000e},
	} {
		t.Run(tt.device, func(t *testing.T) {
			addr := guest.Device(t, tt.device)
			v := openVFIO(t, addr)
			first, second := newEventfd(t), newEventfd(t)

			connect(t, v.device, tt.index, tt.vector, first)
			raise, raised := tt.open(t, addr)
			const n = 20
			if got := paced(t, n, first, raise, raised); got < n {
				t.Fatalf("alone, the first got %d of %d", got, n)
			}

			connect(t, v.another(t, addr), tt.index, tt.vector, second) // no error
			taken(t, first)                                             // e1000e raises some twice
			if got := paced(t, n, second, raise, raised); got < n {
				t.Fatalf("the second got %d of %d", got, n)
			}
			if got := taken(t, first); got != 0 {
				t.Errorf("the first still got %d; does this kernel arbitrate vectors?", got)
			}
		})
	}
}

// paced raises n interrupts, each after the former was counted by the device's
// side and arrived, and returns how many did arrive.
func paced(t *testing.T, n int, eventfd int, raise func(), raised func() bool) (got uint64) {
	t.Helper()
	for range n {
		raise()
		if !raised() {
			t.Fatal("the device says that it did not raise the interrupt")
		}
		guest.Eventually(t, "an interrupt arrives", func() bool {
			k := taken(t, eventfd)
			got += k
			return k > 0
		})
	}
	return got
}

func raiseEdu(t *testing.T, addr string) (func(), func() bool) {
	e := guest.OpenEdu(t, addr)
	raised := func() bool { ok := e.Raised() == 1; e.Ack(1); return ok }
	return func() { e.Raise(1) }, raised
}

func raiseE1000e(t *testing.T, addr string) (func(), func() bool) {
	e := guest.OpenE1000e(t, addr)
	raised := func() bool { ok := e.Raised(3); e.Ack(3); return ok }
	return func() { e.Raise(3) }, raised
}

// ivshmem keeps no count: only its kernel's does.
func raiseIvshmem(t *testing.T, addr string) (func(), func() bool) {
	i := guest.OpenIvshmem(t, addr)
	self := i.Peer()
	return func() { i.Ring(self, 2) }, func() bool { return true }
}
