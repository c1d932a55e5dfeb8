package examples

//vm:host dd od

import (
	"strings"
	"testing"

	"github.com/ivtd/ivt/test/vm/guest"
)

// TestProgramsThatKnowNothingOfIvt: dd and od of the coreutils, as Debian has them, under ivt connect: with the device they print
// its registers, with the interrupt they are a shell's handler. examples/README.md has these commands.
func TestProgramsThatKnowNothingOfIvt(t *testing.T) {
	guest.Require(t)
	address := guest.Device(t, "edu0")
	guest.Bind(t, address, "vfio-pci")
	d := serve(t, "edu.toml", eduAddress, address)
	vector := "pci:" + address + "/msi/0"
	const path = "PATH=/work/host:$PATH; "

	// A device's registers are read with one access each: dd's blocks of 4 bytes.
	registers := d.start(alice, "ivt", "connect", "--access", "device", vector, "--",
		"sh", "-c", path+"dd bs=4 count=4 status=none <&5 | od -A x -t x4 -v")
	if line := registers.line(); !strings.HasPrefix(line, "000000 010000ed 00000000 ") { // what follows is the last factorial
		t.Errorf("the registers are %q", line)
	}
	registers.says("000010")
	if status := registers.ended(); status != 0 {
		t.Errorf("it ended with %d", status)
	}
	d.free(vector)

	handler := d.start(alice, "ivt", "connect", vector, "--",
		"sh", "-c", path+"while dd bs=8 count=1 status=none <&3 | od -A n -t d8; do :; done")
	d.held(vector, "sh")
	handler.says("                    1") // rung, in doubt: somebody had it before
	edu := guest.OpenEdu(t, address)
	for range 3 {
		edu.Raise(1)
		handler.says("                    1")
		edu.Ack(1)
	}
	d.refused(alice, "763", "ivt", "connect", "--access", "device", vector, "--", "/work/host/od", "/dev/null")
	edu.Raise(1)
	handler.says("                    1")
	edu.Ack(1)
}
