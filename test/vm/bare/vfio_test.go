package bare

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"unsafe"

	"github.com/ivtd/ivt/test/vm/guest"
	"golang.org/x/sys/unix"
)

// The ioctls of include/uapi/linux/vfio.h, _IO(';', 100+n).
const (
	setIOMMU       = 0x3b64 + 2
	groupContainer = 0x3b64 + 4
	groupDeviceFD  = 0x3b64 + 6
	deviceIRQInfo  = 0x3b64 + 9
	deviceSetIRQs  = 0x3b64 + 10
	deviceReset    = 0x3b64 + 11

	type1v2 = 3

	intx, msi, msix = 0, 1, 2

	infoNoResize = 1 << 3

	dataNone, dataEventfd = 1, 4
	actionUnmask          = 1 << 4
	actionTrigger         = 1 << 5
)

// vfio is an open VFIO device in a container of its own.
type vfio struct{ container, group, device int }

func ioctl(fd int, req uint, arg unsafe.Pointer) (int, error) {
	r, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(req), uintptr(arg))
	if e != 0 {
		return int(r), e
	}
	return int(r), nil
}

func openVFIO(t *testing.T, addr string) *vfio {
	t.Helper()
	guest.Bind(t, addr, "vfio-pci")
	v := &vfio{container: open(t, "/dev/vfio/vfio"), group: open(t, "/dev/vfio/"+guest.Group(addr))}
	fd := int32(v.container)
	_, err := ioctl(v.group, groupContainer, unsafe.Pointer(&fd))
	check(t, "GROUP_SET_CONTAINER", err)
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(v.container), setIOMMU, type1v2)
	if e != 0 {
		t.Fatalf("SET_IOMMU: %v", e)
	}
	v.device = v.another(t, addr)
	return v
}

// another opens the device once more, as a second process with the group would.
func (v *vfio) another(t *testing.T, addr string) int {
	t.Helper()
	name := append([]byte(addr), 0)
	fd, err := ioctl(v.group, groupDeviceFD, unsafe.Pointer(&name[0]))
	check(t, "GROUP_GET_DEVICE_FD", err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// vectors returns how many vectors an interrupt index has, and its flags.
func vectors(t *testing.T, device int, index uint32) (count, flags uint32) {
	t.Helper()
	info := [4]uint32{16, 0, index, 0}
	_, err := ioctl(device, deviceIRQInfo, unsafe.Pointer(&info))
	check(t, "GET_IRQ_INFO", err)
	return info[3], info[1]
}

// set is SET_IRQS: one vector, one descriptor, or none with dataNone.
func set(device int, flags, index, start, count uint32, fds ...int32) error {
	b := binary.LittleEndian.AppendUint32(nil, uint32(20+4*len(fds)))
	for _, v := range []uint32{flags, index, start, count} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for _, fd := range fds {
		b = binary.LittleEndian.AppendUint32(b, uint32(fd))
	}
	n, err := ioctl(device, deviceSetIRQs, unsafe.Pointer(&b[0]))
	if err == nil && n > 0 {
		return errors.New("a shortage of vectors")
	}
	return err
}

func connect(t *testing.T, device int, index, vector uint32, eventfd int) {
	t.Helper()
	check(t, "SET_IRQS", set(device, dataEventfd|actionTrigger, index, vector, 1, int32(eventfd)))
}

func newEventfd(t *testing.T) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	check(t, "eventfd", err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// taken empties an eventfd and returns its count.
func taken(t *testing.T, eventfd int) uint64 {
	t.Helper()
	var b [8]byte
	_, err := unix.Read(eventfd, b[:])
	if errors.Is(err, unix.EAGAIN) {
		return 0
	}
	check(t, "read the eventfd", err)
	return binary.LittleEndian.Uint64(b[:])
}

func open(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(&os.PathError{Op: "open", Path: path, Err: err})
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func check(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
