//go:build linux

package source

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func uevent(words ...string) []byte { return []byte(strings.Join(words, "\x00") + "\x00") }

func TestUevents(t *testing.T) {
	for _, test := range []struct {
		name    string
		message []byte
		want    Change
	}{
		{"a function is plugged in", uevent("add@/devices/pci0000:00/0000:00:1c.0/0000:3b:00.0", "ACTION=add", "DEVPATH=/devices/pci0000:00/0000:00:1c.0/0000:3b:00.0", "SUBSYSTEM=pci", "PCI_SLOT_NAME=0000:3b:00.0"), Change{Appeared, "pci:0000:3b:00.0"}},
		{"it gets a driver", uevent("bind@/devices/pci0000:00/0000:3b:00.0", "ACTION=bind", "DEVPATH=/devices/pci0000:00/0000:3b:00.0", "SUBSYSTEM=pci", "DRIVER=vfio-pci"), Change{Appeared, "pci:0000:3b:00.0"}},
		{"its driver is taken", uevent("unbind@/devices/pci0000:00/0000:3b:00.0", "ACTION=unbind", "DEVPATH=/devices/pci0000:00/0000:3b:00.0", "SUBSYSTEM=pci"), Change{Left, "pci:0000:3b:00.0"}},
		{"a UIO device goes", uevent("remove@/devices/pci0000:00/0000:00:04.0/uio/uio0", "ACTION=remove", "DEVPATH=/devices/pci0000:00/0000:00:04.0/uio/uio0", "SUBSYSTEM=uio", "DEVNAME=uio0"), Change{Left, "uio:uio0"}},
		{"a GPIO chip comes", uevent("add@/devices/platform/gpio-sim.0/gpiochip1", "ACTION=add", "DEVPATH=/devices/platform/gpio-sim.0/gpiochip1", "SUBSYSTEM=gpio"), Change{Appeared, "gpio:gpiochip1"}},
		{"a GPIO chip in the old class is another name of it", uevent("add@/devices/x/gpio/gpiochip512", "ACTION=add", "DEVPATH=/devices/x/gpio/gpiochip512", "SUBSYSTEM=gpio-class"), Change{}},
		{"a disk is of no concern", uevent("add@/devices/x/block/sda", "ACTION=add", "DEVPATH=/devices/x/block/sda", "SUBSYSTEM=block"), Change{}},
		{"a change is none", uevent("change@/devices/pci0000:00/0000:3b:00.0", "ACTION=change", "DEVPATH=/devices/pci0000:00/0000:3b:00.0", "SUBSYSTEM=pci"), Change{}},
		{"udev's own", append([]byte("libudev\x00\xfe\xed\xca\xfe"), uevent("ACTION=add", "SUBSYSTEM=uio", "DEVPATH=/x/uio0")...), Change{}},
		{"nothing", nil, Change{}},
	} {
		if c, ok := parseUevent(test.message); c != test.want || ok != (test.want != Change{}) {
			t.Errorf("%s: %+v, %t", test.name, c, ok)
		}
	}
}

func FuzzUevent(f *testing.F) {
	f.Add(uevent("add@/devices/pci0000:00/0000:3b:00.0", "ACTION=add", "DEVPATH=/devices/pci0000:00/0000:3b:00.0", "SUBSYSTEM=pci"))
	f.Add([]byte("@\x00ACTION=remove\x00SUBSYSTEM=uio\x00DEVPATH=/uio0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := parseUevent(b)
		if ok != (c.Name != "") || ok && c.Kind != Appeared && c.Kind != Left {
			t.Errorf("%q: %+v, %t", b, c, ok)
		}
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	leakFree(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Watch(ctx, func(Change) {}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
