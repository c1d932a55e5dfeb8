package examples

//vm:program ./examples/nic
//vm:file ../../../examples/nic/nic.toml

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ivtd/ivt/test/vm/guest"
)

// The address in examples/nic/nic.toml.
const nicAddress = "0000:00:06.0"

// TestNicOfTwoUsers: a driver has the card and two of its vectors, a worker of another user three. Each gets its own interrupts,
// and the death of one is not the other's.
func TestNicOfTwoUsers(t *testing.T) {
	guest.Require(t)
	address := guest.Device(t, "nic0")
	guest.Bind(t, address, "vfio-pci")
	d := serve(t, "nic.toml", nicAddress, address)
	vector := func(i int) string { return fmt.Sprintf("pci:%s/msix/%d", address, i) }
	drive := []string{"nic", "driver", vector(0), vector(1)}
	work := []string{"nic", "worker", vector(2), vector(3), vector(4)}

	driver := d.start(alice, drive...)
	driver.says("connected 2")
	worker := d.start(bob, work...)
	worker.says("connected 3")
	owner := func(i int) *program {
		if i < 2 {
			return driver
		}
		return worker
	}
	// An interrupt that comes to the wrong process is a line that is not expected there. A card may raise one more than it was told
	// to: its link comes up at some time after a reset, and a throttled message is sent again.
	interrupted := func(i int) {
		t.Helper()
		own := []int{0, 1}
		if i >= 2 {
			own = []int{2, 3, 4}
		}
		for {
			line := owner(i).line()
			if line == "interrupt "+vector(i) {
				return
			}
			if !slices.ContainsFunc(own, func(o int) bool { return line == "interrupt "+vector(o) }) {
				t.Fatalf("for vector %d it says %q", i, line)
			}
		}
	}
	rounds := func() {
		t.Helper()
		for n := range 3 {
			for i := range 5 {
				driver.tell(fmt.Sprint((i + n) % 5))
				interrupted((i + n) % 5)
			}
		}
	}
	rounds()
	d.refused(bob, "763", work...)                    // taken
	d.refused(alice, "763", drive...)                 // taken
	d.refused(bob, "5 ERROR_ACCESS_DENIED", drive...) // not his
	d.refused(bob, "763", "nic", "worker", vector(2)) // one of them
	rounds()

	worker.kill()
	d.free(vector(2))
	for range 3 {
		driver.tell("2") // nobody's now
		driver.tell("0")
		interrupted(0)
	}
	worker = d.start(bob, work...)
	worker.says("connected 3")
	worker.rung(vector(2), vector(3), vector(4))
	rounds()

	driver.kill()
	d.free(vector(0))
	worker.rung(vector(2), vector(3), vector(4)) // rung, in doubt: its device was reset
	card := guest.OpenE1000e(t, address)
	for range 3 {
		for i := 2; i < 5; i++ {
			card.Write(0xc0, 1<<(20+i)|1<<2) // clear it, and that the link came up
			card.Raise(i)
			interrupted(i)
		}
	}
}
