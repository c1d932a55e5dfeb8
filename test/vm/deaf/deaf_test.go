package deaf

//vm:program ./examples/deaf
//vm:file demo.sh

import (
	"os/exec"
	"testing"

	"github.com/ivtd/ivt/test/vm/guest"
)

// TestTheFirstDriverGoesDeaf runs two unmodified C drivers on one device
// descriptor; the script fails if the first still hears its interrupts.
func TestTheFirstDriverGoesDeaf(t *testing.T) {
	guest.Require(t)
	guest.Bind(t, guest.Device(t, "edu0"), "vfio-pci")
	out, err := exec.Command("sh", "demo.sh", "bare").CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
