package affinity_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/affinity"
	"github.com/ivtd/ivt/internal/host/bind"
	"github.com/ivtd/ivt/internal/host/vectormap"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

//vm:run ^TestVM

// options reads the vector map of this machine when it is asked for.
func options(t *testing.T) affinity.Options {
	t.Helper()
	r, err := host.Open("")
	if err != nil {
		t.Fatal(err)
	}
	reader := vectormap.NewReader(r, vectormap.Options{})
	return affinity.Options{Map: reader.Read}
}

// find returns the irq with a handler of that name.
func find(t *testing.T, handler string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/interrupts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 0 && f[len(f)-1] == handler {
			if n, err := strconv.Atoi(strings.TrimSuffix(f[0], ":")); err == nil {
				return n
			}
		}
	}
	t.Fatalf("no irq of %s in\n%s", handler, text)
	return 0
}

// The interrupt of the serial console goes to the other CPU and back; it arrives with what the test prints.
func TestVMMove(t *testing.T) {
	guest.Require(t)
	number := find(t, "ttyS0")
	for _, cpu := range []int{0, 1, 0} {
		c, err := affinity.Set(t.Context(), number, host.NewCPUSet(cpu), affinity.Options{})
		if err != nil {
			t.Fatal(err)
		}
		guest.Eventually(t, "the irq is where it was asked to be", func() bool {
			_ = os.WriteFile("/dev/ttyS0", []byte("."), 0)
			s, err := affinity.Read(t.Context(), number, affinity.Options{})
			return err == nil && s.Effective.Equal(host.NewCPUSet(cpu))
		})
		t.Logf("CPU %d: pending %v, back with %s", cpu, c.Pending, c.Undo)
	}
}

// CPUs that are offline, and CPUs that are not there, are told.
func TestVMOffline(t *testing.T) {
	guest.Require(t)
	const knob = "/sys/devices/system/cpu/cpu1/online"
	if err := os.WriteFile(knob, []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.WriteFile(knob, []byte("1"), 0) })
	number := find(t, "ttyS0")
	for _, cpus := range []string{"1", "7"} {
		set, err := affinity.ParseCPUs(cpus)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := affinity.Set(t.Context(), number, set, affinity.Options{}); !errors.Is(err, irq.ErrInvalidParameter) {
			t.Errorf("CPU %s: %v", cpus, err)
		}
	}
	c, err := affinity.Set(t.Context(), number, host.NewCPUSet(0, 1), affinity.Options{})
	if err != nil || !strings.Contains(c.Note, "only 0 is online") {
		t.Errorf("%+v, %v", c, err)
	}
}

// The queues of an NVMe disk are managed: refused, whichever errno the kernel has for it, and told apart from rights.
func TestVMManaged(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "nvme")
	guest.Eventually(t, "the queues are there", func() bool {
		text, _ := os.ReadFile("/proc/interrupts")
		return strings.Contains(string(text), "nvme0q1")
	})
	number := find(t, "nvme0q1")
	for name, o := range map[string]affinity.Options{"with map": options(t), "without": {}} {
		_, err := affinity.Set(t.Context(), number, host.NewCPUSet(0), o)
		if !errors.Is(err, irq.ErrNotSupported) || !strings.Contains(err.Error(), "managed") {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v", name, err)
	}
	s, err := affinity.Read(t.Context(), number, options(t))
	if err != nil || s.Managed != host.Yes || s.Settable != host.No || s.Vector == 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestVMUnprivileged(t *testing.T) {
	guest.Require(t)
	if os.Getuid() == 0 {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVMUnprivileged$", "-test.v")
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		c.Dir = "/"
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("as nobody: %v\n%s", err, out)
		}
		return
	}
	number := find(t, "ttyS0")
	if _, err := affinity.Set(t.Context(), number, host.NewCPUSet(0), affinity.Options{}); !errors.Is(err, irq.ErrAccessDenied) {
		t.Errorf("got %v", err)
	}
}

// With every vector of both CPUs taken, a move is refused, and the refusal says that both are full.
func TestVMNoVectorLeft(t *testing.T) {
	guest.Require(t)
	o := options(t)
	taken := fill(t)
	m, err := o.Map(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d vectors taken; by %s no vector is left on CPU %v", taken, m.Method, m.Full())
	if len(m.Full()) != 2 {
		t.Fatalf("CPUs: %+v", m.CPUs)
	}
	number := find(t, "ttyS0")
	s, err := affinity.Read(t.Context(), number, o)
	if err != nil {
		t.Fatal(err)
	}
	other := host.NewCPUSet(1)
	if s.Effective.Has(1) {
		other = host.NewCPUSet(0)
	}
	_, err = affinity.Set(t.Context(), number, other, o)
	if !errors.Is(err, irq.ErrNoResources) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no vector is left: CPU "+other.String()) {
		t.Errorf("got %v", err)
	}
	t.Log(err)
}

// fill plugs in a disk with more vectors than two CPUs have, and takes one after the other through VFIO until the kernel
// has none left.
func fill(t *testing.T) (taken int) {
	t.Helper()
	const vectors = 420
	guest.Load(t, "nvme")
	address := guest.Device(t, "hot0")
	guest.Unplug(t, "hot0")
	guest.Gone(t, "hot0")
	guest.QMP(t, "device_add", map[string]any{"driver": "nvme", "id": "big0", "bus": "port0", "serial": "big", "msix_qsize": vectors})
	is := func(vendor string) bool {
		text, _ := os.ReadFile(guest.Sysfs(address, "vendor"))
		return strings.TrimSpace(string(text)) == vendor
	}
	guest.Eventually(t, "the disk has its driver", func() bool { return is("0x1b36") && guest.Driver(address) == "nvme" })
	t.Cleanup(func() {
		guest.QMP(t, "device_del", map[string]any{"id": "big0"})
		guest.Eventually(t, "the disk is gone", func() bool { return is("") })
	})
	p, err := bind.Bind(t.Context(), address, bind.Options{Force: true})
	if err == nil {
		err = p.Do(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	device := openVFIO(t, address)
	eventfd, err := kernel.Eventfd()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(eventfd) })
	const msix = 2
	// The last vector first: before 6.5 the first call decides how many there are.
	for i := vectors - 1; i >= 0; i-- {
		short, err := kernel.SetVFIOTrigger(device, msix, i, eventfd)
		if errors.Is(err, syscall.ENOSPC) {
			return taken
		}
		if err != nil || short > 0 {
			t.Fatalf("vector %d: %d, %v", i, short, err)
		}
		taken++
	}
	t.Fatalf("all %d vectors were to be had", vectors)
	return taken
}

// openVFIO opens a function through its group.
func openVFIO(t *testing.T, address string) int {
	t.Helper()
	open := func(path string) int {
		fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
		return fd
	}
	container, group := open("/dev/vfio/vfio"), open(filepath.Join("/dev/vfio", guest.Group(address)))
	if err := kernel.SetVFIOContainer(group, container); err != nil {
		t.Fatal(err)
	}
	const type1v2 = 3
	if err := kernel.SetVFIOIOMMU(container, type1v2); err != nil {
		t.Fatal(err)
	}
	device, err := kernel.OpenVFIODevice(group, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(device) })
	return device
}
