package noiommu

//vm:iommu off

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/test/vm/guest"
	"golang.org/x/sys/unix"
)

const unsafeMode = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

// TestWithoutTheUnsafeModeThereIsNoGroup: vfio-pci takes no device then.
func TestWithoutTheUnsafeModeThereIsNoGroup(t *testing.T) {
	guest.Require(t)
	if err := os.WriteFile(unsafeMode, []byte("0"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) { // other tests in this VM may have left it on
		t.Fatal(err)
	}
	addr := guest.Device(t, "edu0")
	if g := guest.Group(addr); g != "" {
		t.Fatalf("edu0 is in IOMMU group %s", g)
	}
	if err := os.WriteFile(guest.Sysfs(addr, "driver_override"), []byte("vfio-pci"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/sys/bus/pci/drivers_probe", []byte(addr), 0); err != nil {
		t.Log(err)
	}
	if d := guest.Driver(addr); d != "" {
		t.Errorf("edu0 is bound to %s", d)
	}
}

// TestUnsafeMode connects an interrupt through a group that no IOMMU is behind.
func TestUnsafeMode(t *testing.T) {
	guest.Require(t)
	if _, err := os.Stat(unsafeMode); err != nil {
		t.Skipf("this kernel (%s) has no CONFIG_VFIO_NOIOMMU; the own one has", guest.Release())
	}
	if err := os.WriteFile(unsafeMode, []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	addr := guest.Device(t, "edu0")
	guest.Bind(t, addr, "vfio-pci")
	container, group := open(t, "/dev/vfio/vfio"), open(t, "/dev/vfio/noiommu-"+guest.Group(addr))
	check(t, "GROUP_SET_CONTAINER", kernel.SetVFIOContainer(group, container))
	check(t, "SET_IOMMU", kernel.SetVFIOIOMMU(container, kernel.VFIONoIOMMU))
	device, err := kernel.OpenVFIODevice(group, addr)
	check(t, "GROUP_GET_DEVICE_FD", err)
	defer unix.Close(device)

	eventfd, err := kernel.Eventfd()
	check(t, "eventfd", err)
	defer unix.Close(eventfd)
	_, err = kernel.SetVFIOTrigger(device, kernel.VFIOMSI, 0, eventfd)
	check(t, "SET_IRQS", err)
	guest.OpenEdu(t, addr).Raise(1)
	guest.Eventually(t, "the interrupt arrives", func() bool {
		n, err := kernel.ReadEventfd(eventfd)
		return err == nil && n == 1
	})
}

func open(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	check(t, "open "+path, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func check(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
