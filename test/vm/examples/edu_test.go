package examples

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// The address in examples/edu/edu.toml.
const eduAddress = "0000:00:04.0"

// TestEdu runs the driver in each language: of an unprivileged user, with registers, interrupts and DMA, by MSI and by INTx; the
// second one is refused, with the first by name, and the first goes on.
func TestEdu(t *testing.T) {
	guest.Require(t)
	address := guest.Device(t, "edu0")
	guest.Bind(t, address, "vfio-pci")
	d := serve(t, "edu.toml", eduAddress, address)
	for _, program := range []string{"edu", "edu-c", "edu-rust"} {
		for _, index := range []string{"/msi/0", "/intx/0"} {
			t.Run(program+index, func(t *testing.T) {
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("no %s: the VM was made without its compiler; try: apt-get install rustc", program)
				}
				d.t = t
				vector := "pci:" + address + index
				first := d.start(alice, program, vector)
				first.says("connected %s", vector)
				first.tell("5")
				first.says("5! = 120, interrupted")
				if text := d.refused(alice, "763", program, vector); !strings.Contains(text, program) || !strings.Contains(text, "uid 1001") {
					t.Errorf("the refusal does not name the first: %s", text)
				}
				d.refused(bob, "5 ERROR_ACCESS_DENIED", program, vector)
				first.tell("10")
				first.says("10! = 3628800, interrupted")
				first.in.Close()
				first.says(`"there and back" by DMA, interrupted twice`)
				if status := first.ended(); status != 0 {
					t.Errorf("it ended with %d", status)
				}
				d.free(vector)
			})
		}
	}
}

// TestDeviceGoesWithTheConnection: after Disconnect the former driver's registers are those of no device, and another process
// is granted it although the former lives on.
func TestDeviceGoesWithTheConnection(t *testing.T) {
	guest.Require(t)
	address := guest.Device(t, "edu0")
	guest.Bind(t, address, "vfio-pci")
	d := serve(t, "edu.toml", eduAddress, address)
	vector := "pci:" + address + "/msi/0"
	c, err := d.client.Connect(t.Context(), vector, ivt.Access(irq.AccessDevice))
	if err != nil {
		t.Fatal(err)
	}
	device, err := c.Device()
	if err != nil {
		t.Fatal(err)
	}
	if err := device.Enable(); err != nil {
		t.Fatal(err)
	}
	registers, err := device.Registers(0)
	if err != nil {
		t.Fatal(err)
	}
	if id := registers.Load32(0); id != 0x010000ed {
		t.Fatalf("identification %#x", id)
	}
	for name, err := range map[string]error{
		"a BAR that is not there": second(device.Registers(3)),
		"BAR 6":                   second(device.Registers(6)),
		"half a page":             device.MapDMA(make([]byte, 100), 0x10000),
		"no memory":               device.MapDMA(nil, 0x10000),
		"what is not mapped":      device.UnmapDMA(0x10000, 4096),
		"far configuration":       device.ReadConfig(make([]byte, 4), 1<<20),
	} {
		if !errors.Is(err, irq.ErrInvalidParameter) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := device.Reset(); err != nil && !errors.Is(err, irq.ErrNotSupported) {
		t.Error(err)
	}
	if err := c.Disconnect(context.Background()); err != nil {
		t.Fatal(err)
	}
	if id := registers.Load32(0); id != 0 {
		t.Errorf("after Disconnect the identification is %#x", id)
	}
	if err := device.Enable(); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("Enable after Disconnect: %v", err)
	}
	next := d.start(alice, "edu", vector)
	next.says("connected %s", vector)
	registers.Store32(0x08, 3) // nobody's
	next.tell("6")
	next.says("6! = 720, interrupted")

	if _, err := d.client.Connect(t.Context(), vector); !errors.Is(err, irq.ErrAlreadyConnected) {
		t.Errorf("two drivers on one vector: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
