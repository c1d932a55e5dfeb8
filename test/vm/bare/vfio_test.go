package bare

import (
	"testing"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/test/vm/guest"
	"golang.org/x/sys/unix"
)

// vfio is an open VFIO device in a container of its own.
type vfio struct{ container, group, device int }

func openVFIO(t *testing.T, addr string) *vfio {
	t.Helper()
	guest.Bind(t, addr, "vfio-pci")
	v := &vfio{container: open(t, "/dev/vfio/vfio"), group: open(t, "/dev/vfio/"+guest.Group(addr))}
	check(t, "GROUP_SET_CONTAINER", kernel.SetVFIOContainer(v.group, v.container))
	check(t, "SET_IOMMU", kernel.SetVFIOIOMMU(v.container, kernel.VFIOType1v2))
	v.device = v.another(t, addr)
	return v
}

// another opens the device once more, as a second process with the group would.
func (v *vfio) another(t *testing.T, addr string) int {
	t.Helper()
	fd, err := kernel.OpenVFIODevice(v.group, addr)
	check(t, "GROUP_GET_DEVICE_FD", err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func connect(t *testing.T, device, index, vector, eventfd int) {
	t.Helper()
	short, err := kernel.SetVFIOTrigger(device, index, vector, eventfd)
	check(t, "SET_IRQS", err)
	if short > 0 {
		t.Fatalf("SET_IRQS: the host has %d vectors only", short)
	}
}

func newEventfd(t *testing.T) int {
	t.Helper()
	fd, err := kernel.Eventfd()
	check(t, "eventfd", err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// taken empties an eventfd and returns its count.
func taken(t *testing.T, eventfd int) uint64 {
	t.Helper()
	n, err := kernel.ReadEventfd(eventfd)
	if err == unix.EAGAIN {
		return 0
	}
	check(t, "read the eventfd", err)
	return n
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
