package guest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ivtd/ivt/test/vm/monitor"
)

const pciDevices = "/sys/bus/pci/devices/"

// Device returns the PCI address of an emulated device by its id, in the form
// 0000:00:04.0.
func Device(t testing.TB, id string) string {
	t.Helper()
	addr, ok := find(t, id)
	if !ok {
		t.Fatalf("no device %q is plugged in; package guest lists the ids", id)
	}
	return addr
}

func find(t testing.TB, id string) (string, bool) {
	t.Helper()
	d, err := monitor.Device(id)
	if err != nil {
		t.Fatal(err)
	}
	return d.Address, d.Address != ""
}

// Sysfs returns the path of a device's attribute.
func Sysfs(addr string, attribute ...string) string {
	return filepath.Join(append([]string{pciDevices + addr}, attribute...)...)
}

// Driver returns the name of the driver that a device is bound to, or "".
func Driver(addr string) string {
	target, err := os.Readlink(Sysfs(addr, "driver"))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// Group returns the number of a device's IOMMU group, or "" if it has none.
func Group(addr string) string {
	target, err := os.Readlink(Sysfs(addr, "iommu_group"))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// Bind gives a device to a driver, "" for none, and back to the one it had
// when the test ends, if it is still there.
func Bind(t testing.TB, addr, driver string) {
	t.Helper()
	had := Driver(addr)
	if err := rebind(addr, driver); err != nil {
		t.Fatalf("bind %s to %q: %v", addr, driver, err)
	}
	t.Cleanup(func() {
		if err := rebind(addr, had); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("bind %s back to %q: %v", addr, had, err)
		}
	})
	if got := Driver(addr); got != driver {
		t.Fatalf("%s is bound to %q, not to %q; does the kernel have that driver?", addr, got, driver)
	}
}

// rebind is what `echo > driver_override` and friends do.
func rebind(addr, driver string) error {
	if _, err := os.Stat(Sysfs(addr)); err != nil {
		return err
	}
	if now := Driver(addr); now == driver {
		return nil
	} else if now != "" {
		if err := write(Sysfs(addr, "driver/unbind"), addr); err != nil {
			return err
		}
	}
	if driver == "" {
		return write(Sysfs(addr, "driver_override"), "\n")
	}
	if err := write(Sysfs(addr, "driver_override"), driver); err != nil {
		return err
	}
	return write("/sys/bus/pci/drivers_probe", addr)
}

func write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// Unplug pulls a device of the ids hot0, hot1 and nic1 as its eject button
// does: the kernel's driver lets go first. It returns at once; [Gone] waits.
// When the test ends it is plugged in again.
func Unplug(t testing.TB, id string) {
	t.Helper()
	if err := monitor.DeviceDel(id); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, there := find(t, id); !there {
			Plug(t, id)
		}
	})
}

// Gone waits until the device is out of the machine.
func Gone(t testing.TB, id string) {
	t.Helper()
	Eventually(t, id+" is unplugged", func() bool { _, there := find(t, id); return !there })
}

// Plug plugs a device in again and returns its address when the kernel has
// found it.
func Plug(t testing.TB, id string) string {
	t.Helper()
	if err := monitor.DeviceAdd(id); err != nil {
		t.Fatal(err)
	}
	addr := ""
	Eventually(t, id+" is found by the kernel", func() bool {
		addr, _ = find(t, id)
		_, err := os.Stat(Sysfs(addr, "config"))
		return addr != "" && err == nil && !strings.HasPrefix(addr, "0000:00:00")
	})
	return addr
}
