//go:build linux

package ivt_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ivtd/ivt/irq"
)

// The rest of a device grant needs a device: test/vm/examples.
func TestInterruptsComeWithoutADevice(t *testing.T) {
	c := serve(t).connect(t, "soft:demo/1")
	if _, err := c.Device(); !errors.Is(err, irq.ErrInvalidParameter) || !strings.Contains(err.Error(), "AccessDevice") {
		t.Errorf("got %v", err)
	}
	if err := c.Disconnect(context.Background()); err != nil {
		t.Fatal(err)
	}
	device, err := c.Device()
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Enable": device.Enable(), "Reset": device.Reset(), "Registers": second(device.Registers(0)),
		"MapDMA": device.MapDMA(make([]byte, 4096), 0), "UnmapDMA": device.UnmapDMA(0, 4096),
	} {
		if !errors.Is(err, irq.ErrNotConnected) {
			t.Errorf("%s after Disconnect: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
