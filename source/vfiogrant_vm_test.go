//go:build linux

package source

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// Where memory is put for the device: what one holder wants to keep to itself, and what it looks at.
const (
	secretAt  = 0x10000
	windowAt  = 0x20000
	windowHas = 0x77
	secretHas = 0x5e
)

// mapPage lets the device of a grant see one page full of a byte, in the way of a container on every kernel.
func (g *grip) mapPage(iova uint64, fill byte) []byte {
	g.t.Helper()
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { unix.Munmap(page) })
	copy(page, bytes.Repeat([]byte{fill}, len(page)))
	if err := kernel.MapDMA(g.Container, page, iova); err != nil {
		g.t.Fatalf("map memory for the device: %v", err)
	}
	return page
}

// peek has the device read a byte at iova, and shows it through the window.
func peek(e guest.Edu, window []byte, iova uint64) byte {
	e.DMA(0, windowAt, 1, false) // what the buffer has if the next line is refused
	e.DMA(0, iova, 1, false)
	e.DMA(0, windowAt+100, 1, true)
	return window[100]
}

// A former device holder's memory is not readable by the next: its mappings are gone, even if it was killed with them.
func TestVMDeviceGrantsShareNoMemory(t *testing.T) {
	for _, way := range []string{wayGroup, wayCdev} {
		t.Run(way, func(t *testing.T) {
			asBefore(t)
			guest.Require(t)
			if _, err := os.Stat("/dev/iommu"); err != nil && way == wayCdev {
				t.Skipf("this kernel (%s) has no iommufd; try: the own kernel", guest.Release())
			}
			guest.ExpectLog(t, "DMAR") // the device is told to read what it must not
			b, address := openPCI(t, "edu0", map[string]any{"interrupts": "msi", "open": way})
			v := b.vector("msi", 0)
			first := b.connect(v, device)
			if first.Device < 0 || first.Container < 0 {
				t.Fatalf("got %+v", first.Descriptors)
			}
			first.mapPage(secretAt, secretHas)
			if got := peek(guest.OpenEdu(t, address), first.mapPage(windowAt, windowHas), secretAt); got != secretHas {
				t.Fatalf("the device does not read its own holder's memory: %#x", got)
			}
			first.release() // the end of a process: its descriptors are closed, nothing is unmapped

			second := b.connect(v, device)
			window, edu := second.mapPage(windowAt, windowHas), guest.OpenEdu(t, address)
			if got := peek(edu, window, windowAt); got != windowHas {
				t.Errorf("the device does not read its present holder's memory: %#x", got)
			}
			if got := peek(edu, window, secretAt); got == secretHas {
				t.Error("the next holder reads the former's memory through the device")
			}
			second.count() // rung at first
			eduHardware(t, address).paced(t, second, 3)
			second.release()
		})
	}
}

// release is what the end of the holder's process does: its copies are closed, and the connection ends.
func (g *grip) release() {
	g.t.Helper()
	closeAll([]int{g.FD, g.Device, g.Container})
	g.Descriptors.FD, g.Device, g.Container = -1, -1, -1
	g.disconnect()
}

// A copy of the descriptor that stays behind makes the device unavailable, with the process that has it, until it is closed.
func TestVMStrayCopiesAreNamed(t *testing.T) {
	for _, way := range []string{wayGroup, wayCdev} {
		t.Run(way, func(t *testing.T) {
			asBefore(t)
			guest.Require(t)
			if _, err := os.Stat("/dev/iommu"); err != nil && way == wayCdev {
				t.Skipf("this kernel (%s) has no iommufd; try: the own kernel", guest.Release())
			}
			keep := newMemoryKeep(t)
			b, address := openPCI(t, "edu0", map[string]any{"interrupts": "msi", "open": way}, func(c *Config) { c.Keep = keep })
			v := b.vector("msi", 0)
			g := b.connect(v, device)
			child := exec.Command("/bin/sleep", "1000")
			child.ExtraFiles = []*os.File{os.NewFile(uintptr(duplicate(t, g.Device)), "device")}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			child.ExtraFiles[0].Close()
			g.release()

			_, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{v}})
			var e *irq.Error
			if !errors.As(err, &e) || e.Code != irq.ErrAlreadyConnected || e.Reason != irq.ReasonForeignHolds || len(e.Conflicts) != 1 {
				t.Fatalf("with a stray copy: %v", err)
			}
			if h := e.Conflicts[0].Holders[0]; h.PID != child.Process.Pid && h.Kind != irq.HolderUnknown || h.Kind == irq.HolderUnknown && hasKcmp() {
				t.Errorf("it names %v, not pid %d", h, child.Process.Pid)
			}
			if s := b.info(v).State; s != irq.StateUnavailable {
				t.Errorf("state %s", s)
			}
			waiting := make(chan *irq.Connection, 1)
			go func() {
				c, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{v}, Wait: true})
				if err != nil {
					t.Error(err)
				}
				waiting <- c
			}()
			eventually(t, "somebody waits", func() bool { return b.info(v).Waiting == 1 })
			child.Process.Kill()
			child.Wait()
			next := b.grip(<-waiting) // as soon as the copy is closed
			next.count()
			eduHardware(t, address).paced(t, next, 3)
		})
	}
}

func hasKcmp() bool {
	same, err := kernel.SameFile(0, os.Getpid(), 0)
	return err == nil && same
}

func duplicate(t *testing.T, fd int) int {
	t.Helper()
	c, err := kernel.Duplicate(fd)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A device holder who consented has others beside it. When it leaves the device is made quiet and they are rung; the next device
// grant has to wait until they have left, because only then can the memory be shown to be given back.
func TestVMDeviceGrantBesideOthers(t *testing.T) {
	asBefore(t)
	b, address := openPCI(t, "nic0", map[string]any{"interrupts": "msix"})
	consent := func(q *irq.Request) { q.Access, q.Consent = irq.AccessDevice, true }
	driver, other := b.connect(b.vector("msix", 0), consent), b.connect(b.vector("msix", 3))
	nic := guest.OpenE1000e(t, address)
	nicHardware(nic, 0).paced(t, driver, 5)
	nicHardware(nic, 3).paced(t, other, 5)
	driver.release()
	if n := other.count(); n == 0 {
		t.Error("the other was not rung")
	}
	_, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{b.vector("msix", 1)}, Access: irq.AccessDevice})
	if !errors.Is(err, irq.ErrBusy) {
		t.Errorf("a device grant beside it: %v", err)
	}
	nicHardware(guest.OpenE1000e(t, address), 3).paced(t, other, 5)
	other.disconnect()
	for round := range 3 {
		g := b.connect(b.vector("msix", round), device)
		nicHardware(guest.OpenE1000e(t, address), round).paced(t, g, 1)
		g.release()
	}
}

// Functions of one IOMMU group share one memory, so one device grant is for all of them: another is refused with its holder, an
// interrupt of the other function is not.
func TestVMDeviceGrantIsForTheGroup(t *testing.T) {
	asBefore(t)
	guest.Require(t)
	guest.Bind(t, guest.Device(t, "group1"), "vfio-pci") // before the group can be opened
	b, address := openPCI(t, "group0", map[string]any{"interrupts": "msi"})
	other := &bench{t: t, registry: b.registry}
	other.attach(Config{Name: "pci:" + guest.Device(t, "group1"), Settings: map[string]any{"interrupts": "intx"}})
	t.Cleanup(func() {
		b.registry.Close()
		if err := other.source.Close(); err != nil {
			t.Error(err)
		}
	})
	v, otherV := b.vector("msi", 0), other.vector("intx", 0)
	g := b.connect(v, device)
	_, err := other.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{otherV}, Access: irq.AccessDevice})
	var e *irq.Error
	if !errors.As(err, &e) || e.Code != irq.ErrBusy || e.Reason != irq.ReasonDeviceGranted || e.Conflicts[0].Vector != v {
		t.Errorf("a second device grant in the group: %v", err)
	}
	line := other.connect(otherV)
	eduHardware(t, address).paced(t, g, 3)
	g.release()
	line.disconnect()
	next := other.connect(otherV, device)
	if next.Device < 0 || next.Container < 0 {
		t.Errorf("got %+v", next.Descriptors)
	}
	next.release()
}

// The device of a holder who is gone is quiet: what it raises reaches nobody, and it raises nothing more of its own accord.
func TestVMDeviceIsQuietAfterItsHolder(t *testing.T) {
	asBefore(t)
	b, address := openPCI(t, "edu0", map[string]any{"interrupts": "msi"})
	g := b.connect(b.vector("msi", 0), device)
	eduHardware(t, address).paced(t, g, 5)
	g.release()
	if lines := vfioLines(t); len(lines) > 0 {
		t.Errorf("its interrupts are still set up: %q", lines)
	}
	if c := guest.Command(t, address); c&4 != 0 {
		t.Errorf("it may still write memory: command %#x", c)
	}
}
