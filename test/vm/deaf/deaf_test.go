package deaf

//vm:program ./examples/deaf ./cmd/ivt ./cmd/ivtd
//vm:file demo.sh

import (
	"os/exec"
	"testing"

	"github.com/ivtd/ivt/test/vm/guest"
)

// The first driver goes deaf without an error: two unmodified C drivers on one
// device descriptor. The script fails if the first still hears its interrupts.
func TestTheFirstDriverGoesDeaf(t *testing.T) { demo(t, "bare") }

// Under ivt the same two: the second is refused with 763, and the first misses
// no interrupt.
func TestRule1UnderIvtTheFirstGoesOn(t *testing.T) { demo(t, "ivt") }

func demo(t *testing.T, half string) {
	guest.Require(t)
	guest.Bind(t, guest.Device(t, "edu0"), "vfio-pci")
	out, err := exec.Command("sh", "demo.sh", half).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
