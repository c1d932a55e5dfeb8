package bare

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/test/vm/guest"
	"golang.org/x/sys/unix"
)

// TestFacilities prints what the kernel offers; the own kernel must offer all.
func TestFacilities(t *testing.T) {
	guest.Require(t)
	own := !strings.Contains(guest.Release(), "amd64")
	for _, f := range []struct {
		name string
		has  func() bool
	}{
		{"VFIO groups", exists("/dev/vfio/vfio")},
		{"VFIO device files (iommufd)", exists("/dev/iommu")},
		{"VFIO without IOMMU", exists("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")},
		{"MSI-X vectors one at a time", func() bool {
			info, err := kernel.GetVFIOIRQInfo(openVFIO(t, guest.Device(t, "nic0")).device, kernel.VFIOMSIX)
			check(t, "GET_IRQ_INFO", err)
			return info.Flags&kernel.VFIONoResize == 0
		}},
		{"UIO", exists("/sys/bus/pci/drivers/uio_pci_generic")},
		{"simulated GPIO", func() bool {
			return t.Run("gpio-sim", func(t *testing.T) { guest.Load(t, "gpio-sim") }) && exists("/sys/kernel/config/gpio-sim")()
		}},
		{"interrupt debugfs", exists("/sys/kernel/debug/irq/irqs")},
		{"BTF", exists("/sys/kernel/btf/vmlinux")},
		{"kcore", exists("/proc/kcore")},
		{"tracefs", exists("/sys/kernel/tracing/events")},
		{"cgroup 2", exists("/sys/fs/cgroup/cgroup.procs")},
		{"landlock", func() bool {
			v, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1)
			return e == 0 && v > 0
		}},
		{"SO_PEERPIDFD", peerPidfd},
	} {
		has := f.has()
		t.Logf("%-30s %v", f.name, has)
		needed := f.name != "BTF" && f.name != "kcore" && f.name != "tracefs"
		if own && needed && !has {
			t.Errorf("the own kernel lacks %s", f.name)
		}
	}
}

func exists(path string) func() bool {
	return func() bool { _, err := os.Stat(path); return err == nil }
}

func peerPidfd() bool {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	fd, err := unix.GetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err == nil {
		unix.Close(fd)
	}
	return !errors.Is(err, unix.ENOPROTOOPT)
}

func TestEveryDeviceIsThere(t *testing.T) {
	guest.Require(t)
	for id, want := range map[string]string{
		"edu0": "0x1234 0x11e8", "edu1": "0x1234 0x11e8", "edu2": "0x1234 0x11e8", "group0": "0x1234 0x11e8",
		"hot0": "0x1234 0x11e8", "hot1": "0x1234 0x11e8",
		"nic0": "0x8086 0x10d3", "nic1": "0x8086 0x10d3", "nvme0": "0x1b36 0x0010", "usb0": "0x1033 0x0194",
		"ivshmem0": "0x1af4 0x1110", "ivshmem1": "0x1af4 0x1110", "testdev0": "0x1b36 0x0005",
		"rtl0": "0x10ec 0x8139", "group1": "0x10ec 0x8139", "serial0": "0x1af4 0x1003", "hda0": "0x8086 0x2668",
	} {
		addr := guest.Device(t, id)
		if got := read(guest.Sysfs(addr, "vendor")) + " " + read(guest.Sysfs(addr, "device")); got != want {
			t.Errorf("%s (%s) is %q, want %q", id, addr, got, want)
		}
	}
}

func TestIOMMUGroups(t *testing.T) {
	guest.Require(t)
	group := func(id string) string { return guest.Group(guest.Device(t, id)) }
	var alone []string
	for _, id := range []string{"edu0", "edu1", "edu2", "nic0", "nic1", "ivshmem0", "hot0", "hot1", "rtl0", "group0"} {
		g := group(id)
		if g == "" || slices.Contains(alone, g) {
			t.Errorf("%s has IOMMU group %q; the others are %v", id, g, alone)
		}
		alone = append(alone, g)
	}
	if a, b := group("group0"), group("group1"); a != b {
		t.Errorf("group0 is in group %q, group1 in %q", a, b)
	}
}

func TestEduWorks(t *testing.T) {
	guest.Require(t)
	e := guest.OpenEdu(t, guest.Device(t, "edu1"))
	if got := e.Factorial(10); got != 3628800 {
		t.Errorf("10! is %d", got)
	}
}

func TestUnplugAndPlug(t *testing.T) {
	guest.Require(t)
	for _, id := range []string{"hot0", "nic1"} {
		addr := guest.Device(t, id)
		guest.Unplug(t, id)
		guest.Gone(t, id)
		guest.Eventually(t, "the kernel forgets it", func() bool { return !exists(guest.Sysfs(addr))() })
		if again := guest.Plug(t, id); again != addr {
			t.Errorf("%s was at %s and is at %s", id, addr, again)
		}
	}
}

// TestOneLine: four functions share an INTx line, and kernel drivers do.
func TestOneLine(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "8139cp", "virtio_pci", "virtio_console")
	line := ""
	for _, id := range []string{"rtl0", "serial0"} {
		addr := guest.Device(t, id)
		guest.Eventually(t, id+" is bound", func() bool { return guest.Driver(addr) != "" })
		irq := read(guest.Sysfs(addr, "irq"))
		if line != "" && irq != line {
			t.Errorf("%s has irq %s, another has %s", id, irq, line)
		}
		line = irq
	}
	edu := guest.Device(t, "edu2")
	guest.Bind(t, edu, "uio_pci_generic")
	if irq := read(guest.Sysfs(edu, "irq")); irq != line {
		t.Errorf("edu2 has irq %s, others have %s", irq, line)
	}
}

func TestGPIOSimulator(t *testing.T) {
	guest.Require(t)
	chip := guest.NewGPIOChip(t, guest.GPIOLine{Name: "button"}, guest.GPIOLine{Hog: "kernel"}, guest.GPIOLine{})
	if _, err := os.Stat("/dev/" + chip.Name); err != nil {
		t.Error(err)
	}
	chip.Pull(t, 0, true)
	chip.Pull(t, 0, false)
}

func TestUsersAndPrograms(t *testing.T) {
	guest.Require(t)
	out, err := exec.Command("su", "alice", "-s", "/bin/sh", "-c", "id -un; cat /proc/self/status | grep CapEff").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "alice\n") || !strings.Contains(string(out), "0000000000000000") {
		t.Errorf("su alice: %v\n%s", err, out)
	}
}

func read(path string) string {
	b, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}
