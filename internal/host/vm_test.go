//go:build linux

package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

//vm:run ^TestVM

// These tests run on real kernels with emulated devices: make test-vm PKG=./internal/host

func keep(t *testing.T, fd int, err error) int {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kernel.Close(fd) })
	return fd
}

// openVFIO gives a device to vfio-pci, opens it by its group and wires vector n to an eventfd. The group and its container stay
// open, or the device alone.
func openVFIO(t *testing.T, id string, index, n int, alone bool) (address string) {
	t.Helper()
	guest.Require(t)
	guest.Load(t, "vfio-pci")
	address = guest.Device(t, id)
	guest.Bind(t, address, "vfio-pci")
	end := t.Cleanup
	if alone {
		var closers []func()
		end = func(f func()) { closers = append(closers, f) }
		defer func() {
			for _, f := range slices.Backward(closers) {
				f()
			}
		}()
	}
	container, err := kernel.OpenDevice("/dev/vfio/vfio", 0)
	if err != nil {
		t.Fatal(err)
	}
	end(func() { kernel.Close(container) })
	group, err := kernel.OpenDevice("/dev/vfio/"+guest.Group(address), 0)
	if err != nil {
		t.Fatal(err)
	}
	end(func() { kernel.Close(group) })
	if err := kernel.SetVFIOContainer(group, container); err != nil {
		t.Fatal(err)
	}
	if err := kernel.SetVFIOIOMMU(container, kernel.VFIOType1v2); err != nil {
		t.Fatal(err)
	}
	device, err := kernel.OpenVFIODevice(group, address)
	keep(t, device, err)
	eventfd, err := kernel.Eventfd()
	keep(t, eventfd, err)
	if short, err := kernel.SetVFIOTrigger(device, index, n, eventfd); err != nil || short > 0 {
		t.Fatal(short, err)
	}
	return address
}

func whoLive(t *testing.T, target string) *host.Answer {
	t.Helper()
	a, err := live(t).Who(context.Background(), target)
	if err != nil {
		t.Fatalf("who %s: %v", target, err)
	}
	return a
}

// mine fails unless the answer is this process alone, by name and start time.
func mine(t *testing.T, a *host.Answer) host.Holder {
	t.Helper()
	if len(a.Holders) != 1 || a.Holders[0].PID != os.Getpid() || a.Holders[0].StartTime == 0 || !a.Holders[0].Certain || *a.Holders[0].UID != 0 {
		t.Fatalf("%s is held by %v, notes %v, blind %v", a.Target, all(a.Holders), a.Notes, a.Blind)
	}
	return a.Holders[0]
}

func TestVMVFIOMSIX(t *testing.T) {
	guest.Require(t)
	address := openVFIO(t, "nic0", kernel.VFIOMSIX, 2, false)
	vector := "pci:" + address + "/msix/2"
	for _, target := range []string{vector, address, "/dev/vfio/" + guest.Group(address), fmt.Sprint("pid:", os.Getpid()), "vfio-msix[2](" + address + ")"} {
		a := whoLive(t, target)
		mine(t, a)
		if !slices.ContainsFunc(a.IRQs, func(q host.IRQ) bool { return q.Name() == vector }) {
			t.Errorf("who %s does not show %s", target, vector)
		}
	}
	q := whoLive(t, vector).IRQs[0]
	if holders, err := live(t).IRQHolder(context.Background(), q.Number); err != nil || len(holders) != 1 || holders[0].PID != os.Getpid() {
		t.Errorf("irq %d: %v %v", q.Number, holders, err)
	}
	if q.Driver != "vfio-pci" || q.Trigger != "edge" || q.Affinity == nil {
		t.Errorf("%+v", q)
	}
}

// Whoever has the device's descriptor alone, as a process that got it over a socket, is certain where fdinfo names
// the device (Linux 7.x), and comes in question where it does not.
func TestVMVFIODescriptorAlone(t *testing.T) {
	guest.Require(t)
	address := openVFIO(t, "edu0", kernel.VFIOMSI, 0, true)
	a := whoLive(t, "pci:"+address+"/msi/0")
	if len(a.Holders) != 1 || a.Holders[0].PID != os.Getpid() {
		t.Fatalf("%v", all(a.Holders))
	}
	t.Logf("%s: %s", guest.Release(), who(a.Holders[0]))
	if newer := guest.Release()[0] >= '7'; a.Holders[0].Certain != newer {
		t.Errorf("certain: %v", a.Holders[0].Certain)
	}
}

// A device's own node, and what it says of the group that it makes busy.
func TestVMVFIODeviceNode(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "vfio-pci")
	address := guest.Device(t, "edu0")
	guest.Bind(t, address, "vfio-pci")
	nodes, err := filepath.Glob(guest.Sysfs(address, "vfio-dev", "vfio*"))
	if err != nil || len(nodes) != 1 {
		t.Skipf("this kernel (%s) has no VFIO device nodes; try: KERNEL=own", guest.Release())
	}
	node := "/dev/vfio/devices/" + filepath.Base(nodes[0])
	fd, err := kernel.OpenDevice(node, 0)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("this kernel (%s) has no VFIO device nodes; try: KERNEL=own", guest.Release())
	}
	keep(t, fd, err)
	for _, target := range []string{node, "/dev/vfio/" + guest.Group(address), address} {
		if h := mine(t, whoLive(t, target)); !strings.HasPrefix(h.Via, node) {
			t.Errorf("who %s: %s", target, h.Via)
		}
	}
}

func TestVMVFIOINTx(t *testing.T) {
	guest.Require(t)
	address := openVFIO(t, "edu1", kernel.VFIOIntx, 0, false)
	a := whoLive(t, "pci:"+address+"/intx/0")
	if len(a.IRQs) != 1 || a.IRQs[0].Trigger != "level" {
		t.Fatalf("%+v", a)
	}
	if !slices.Contains(all(a.Holders), who(mine(t, whoLive(t, "/dev/vfio/"+guest.Group(address))))) {
		t.Errorf("the line is held by %v", all(a.Holders))
	}
}

func TestVMUIO(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "uio_pci_generic")
	address := guest.Device(t, "edu0")
	guest.Bind(t, address, "uio_pci_generic")
	names, err := filepath.Glob(guest.Sysfs(address, "uio", "uio*"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	uio := filepath.Base(names[0])
	if a := whoLive(t, uio); len(a.IRQs) != 1 || slices.ContainsFunc(a.Holders, func(h host.Holder) bool { return h.Kind == irq.HolderProcess }) {
		t.Errorf("before it is opened: %+v", a)
	}
	fd, err := kernel.OpenDevice("/dev/"+uio, 0)
	keep(t, fd, err)
	for _, target := range []string{"/dev/" + uio, uio, "uio:" + uio + "/0", address} {
		if a := whoLive(t, target); !slices.ContainsFunc(a.Holders, func(h host.Holder) bool { return h.PID == os.Getpid() && strings.Contains(h.Via, uio) }) {
			t.Errorf("who %s: %v", target, all(a.Holders))
		}
	}
}

func TestVMGPIO(t *testing.T) {
	guest.Require(t)
	chip := guest.NewGPIOChip(t, guest.GPIOLine{Name: "door"}, guest.GPIOLine{Name: "wired", Hog: "a driver"}, guest.GPIOLine{Name: "free"})
	file, err := kernel.OpenDevice("/dev/"+chip.Name, 0)
	keep(t, file, err)
	line, err := kernel.RequestGPIO(file, kernel.GPIORequest{Offset: 0, Consumer: "ivt test", Flags: kernel.GPIOInput | kernel.GPIORising})
	keep(t, line, err)
	for _, target := range []string{"door", chip.Name + "/0", "gpio:" + chip.Name + "/0"} {
		a := whoLive(t, target)
		if h := mine(t, a); h.Label != "ivt test" {
			t.Errorf("who %s: %+v", target, h)
		}
		if len(a.IRQs) != 1 || a.IRQs[0].Handlers[0].Name != "ivt test" {
			t.Errorf("who %s: irqs %+v", target, a.IRQs)
		}
	}
	if a := whoLive(t, "wired"); len(a.Holders) != 1 || a.Holders[0].Kind != irq.HolderKernel || a.Holders[0].Driver != "a driver" {
		t.Errorf("a line of the kernel's: %v", all(a.Holders))
	}
	if a := whoLive(t, "free"); a.Held() {
		t.Errorf("a free line: %v", all(a.Holders))
	}
	m, err := live(t).Read(context.Background(), host.Options{Parts: host.PartHolders})
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := m.Select(host.Filter{PID: os.Getpid()})
	if err != nil || len(chosen) != 1 || chosen[0].Handlers[0].Name != "ivt test" {
		t.Errorf("list --pid: %v %v", chosen, err)
	}
	saved, err := host.OpenReader("saved", bytes.NewReader(save(t, live(t))))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := saved.Who(context.Background(), "door"); err != nil {
		t.Error(err)
	} else {
		mine(t, a)
	}
}

// Every row that sysfs says is a PCI message decodes to that function: the two sources agree.
func TestVMMessagesAgree(t *testing.T) {
	guest.Require(t)
	m, err := live(t).Read(context.Background(), host.Options{Parts: host.PartAll})
	if err != nil || len(m.Problems) > 0 {
		t.Fatal(err, m.Problems)
	}
	messages := 0
	for i := range m.IRQs {
		q := &m.IRQs[i]
		if q.MSI == "" {
			continue
		}
		if messages++; q.Index < 0 || q.Vector.Type != q.MSI || q.Device == nil || q.Device.Driver == "" {
			t.Errorf("irq %d (%s %d): sysfs says %s of %s, the row does not", q.Number, q.Chip, q.HWIRQ, q.MSI, q.Source)
		}
	}
	if messages < 4 {
		t.Errorf("%d messages on a machine with nvme and network cards", messages)
	}
	t.Logf("%s: %d irqs, %d messages, blind to %v", m.Kernel, len(m.IRQs), messages, m.Blind)
}

// The affinity of a queue of NVMe is the kernel's to set, that of a network card's is not.
func TestVMManaged(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "nvme")
	address := guest.Device(t, "nvme0")
	guest.Bind(t, address, "nvme")
	var nvme *host.Answer
	guest.Eventually(t, "nvme sets its queues up", func() bool {
		nvme = whoLive(t, "pci:"+address+"/msix/1")
		return len(nvme.IRQs) == 1
	})
	a := nvme.IRQs[0].Affinity
	t.Logf("%s: %+v", guest.Release(), a)
	file := fmt.Sprintf("/proc/irq/%d/smp_affinity_list", nvme.IRQs[0].Number)
	err := os.WriteFile(file, []byte(a.Asked.String()), 0)
	if refused := err != nil; a.Settable == host.Yes && refused || a.Settable == host.No && !refused || a.Managed == host.Yes && !refused {
		t.Errorf("settable %s, managed %s (%s), but a write says %v", a.Settable, a.Managed, a.ManagedBy, err)
	}
}

// A line that several drivers share keeps its handlers apart, and who holds it names them all.
func TestVMSharedLine(t *testing.T) {
	guest.Require(t)
	m, err := live(t).Read(context.Background(), host.Options{Parts: host.PartAll})
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.IRQs {
		q := &m.IRQs[i]
		actions, err := os.ReadFile(fmt.Sprintf("/sys/kernel/irq/%d/actions", q.Number))
		names := make([]string, len(q.Handlers))
		for j, h := range q.Handlers {
			names[j] = h.Name
		}
		if err == nil && strings.TrimSpace(string(actions)) != strings.Join(names, ",") {
			t.Errorf("irq %d: %q, sysfs says %q", q.Number, names, actions)
		}
	}
}

// The terminal of the machine's console: process 1 has it open, which is why its irq is requested.
func TestVMSerial(t *testing.T) {
	guest.Require(t)
	a := whoLive(t, "/dev/ttyS0")
	if len(a.IRQs) != 1 || len(a.Holders) < 2 {
		t.Errorf("%d irqs, %v", len(a.IRQs), all(a.Holders))
	}
	if !slices.ContainsFunc(a.Holders, func(h host.Holder) bool { return h.PID == 1 && strings.HasPrefix(h.Via, "/dev/console") }) {
		t.Errorf("%v", all(a.Holders))
	}
}
