//go:build linux

package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// The second is refused with the first as holder, and the first misses nothing, by the device's count. (The bare kernel
// would have replaced it: test/vm/bare.)
func TestVMRule1SecondIsRefused(t *testing.T) {
	for _, test := range []struct {
		id, kind string
		index    int
		side     func(*testing.T, string) hardware
	}{
		{"edu0", "msi", 0, eduHardware},
		{"edu0", "intx", 0, eduHardware},
		{"nic0", "msix", 3, func(t *testing.T, a string) hardware { return nicHardware(guest.OpenE1000e(t, a), 3) }},
	} {
		t.Run(test.id+" "+test.kind, func(t *testing.T) {
			asBefore(t)
			b, address := openPCI(t, test.id, map[string]any{"interrupts": test.kind})
			v := b.vector(test.kind, test.index)
			first := b.connect(v)
			side := test.side(t, address)
			side.paced(t, first, 20)
			for range 20 {
				side.raise()
				_, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{v}})
				var e *irq.Error
				if !errors.Is(err, irq.ErrAlreadyConnected) || !errors.As(err, &e) || e.Conflicts[0].Holders[0].PID != os.Getpid() {
					t.Fatalf("the second got %v", err)
				}
				if first.count() == 0 {
					t.Error("the first missed an interrupt")
				}
				side.ack()
				if first.Unmask >= 0 {
					kernel.WriteEventfd(first.Unmask, 1)
				}
			}
			side.paced(t, first, 20)
		})
	}
}

// A table that cannot grow is sized once; its vectors are then connected one at a time, in any order, and nobody who has one misses
// anything.
func TestVMVectorsInAnyOrder(t *testing.T) {
	asBefore(t)
	b, address := openPCI(t, "nic0", map[string]any{"interrupts": "msix"})
	nic := guest.OpenE1000e(t, address)
	var grips []*grip
	var sides []hardware
	for _, i := range []int{3, 0, 4, 1, 2} {
		grips = append(grips, b.connect(b.vector("msix", i)))
		sides = append(sides, nicHardware(nic, i))
		for j, g := range grips {
			sides[j].paced(t, g, 5)
		}
	}
	for j, g := range grips { // and disconnected
		g.disconnect()
		for k := j + 1; k < len(grips); k++ {
			sides[k].paced(t, grips[k], 5)
		}
	}
	for j, i := range []int{3, 0, 4, 1, 2} { // and again: rung once, then one for one
		g := b.connect(b.vector("msix", i))
		g.count()
		sides[j].paced(t, g, 5)
	}
}

// Beyond the budget it is 1450, with what was asked for and what there is.
func TestVMBudget(t *testing.T) {
	asBefore(t)
	b, _ := openPCI(t, "nic0", map[string]any{"interrupts": "msix", "budget": int64(2)})
	b.connect(b.vector("msix", 1))
	b.connect(b.vector("msix", 0))
	var e *irq.Error
	_, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{b.vector("msix", 4)}})
	if !errors.As(err, &e) || e.Code != irq.ErrNoResources {
		t.Errorf("got %v", err)
	}
}

func TestVMOneTypeAtATime(t *testing.T) {
	asBefore(t)
	b, address := openPCI(t, "nic0", nil)
	for round := range 3 {
		for _, kind := range []string{"msix", "msi", "intx"} {
			g := b.connect(b.vector(kind, 0))
			for _, other := range []string{"msix", "msi", "intx"} {
				_, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{b.vector(other, 0)}})
				want := irq.ErrBusy
				if other == kind {
					want = irq.ErrAlreadyConnected
				}
				if !errors.Is(err, want) {
					t.Errorf("round %d: %s beside %s: %v", round, other, kind, err)
				}
			}
			if kind == "msix" {
				if round > 0 {
					g.count()
				}
				nic := guest.OpenE1000e(t, address)
				nicHardware(nic, 0).paced(t, g, 3)
				nic.Stop()
			}
			g.disconnect()
		}
	}
}

// The self-test rings through the kernel's loopback; nobody's descriptor is written.
func TestVMSelfTest(t *testing.T) {
	asBefore(t)
	b, _ := openPCI(t, "nic0", nil)
	g := b.connect(b.vector("msix", 2))
	if err := b.source.Raise(b.vector("msix", 2), 5); err != nil {
		t.Fatal(err)
	}
	if n := g.count(); n != 5 {
		t.Errorf("counted %d of 5", n)
	}
	if err := b.source.Raise(b.vector("msix", 1), 1); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("nobody is there: %v", err)
	}
	if err := b.source.SetMask(b.vector("msix", 2), true); !errors.Is(err, irq.ErrNotSupported) {
		t.Errorf("mask MSI-X: %v", err)
	}
}

// What cannot be opened says why, each with a code of its own and what to do.
func TestVMRefusals(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "vfio-pci")
	pci := func(id, driver string, settings map[string]any) Config {
		address := guest.Device(t, id)
		guest.Bind(t, address, driver)
		return Config{Name: "pci:" + address, Settings: settings}
	}
	t.Run("no interrupt", func(t *testing.T) {
		asBefore(t)
		if e := refused(t, pci("testdev0", "vfio-pci", nil), irq.ErrNotSupported); !strings.Contains(e.Detail, "no interrupt") {
			t.Error(e)
		}
	})
	t.Run("not that type", func(t *testing.T) {
		asBefore(t)
		if e := refused(t, pci("edu0", "vfio-pci", map[string]any{"interrupts": "msix"}), irq.ErrNotSupported); !strings.Contains(e.Detail, "it has msi (1) intx (1)") {
			t.Error(e)
		}
	})
	t.Run("no such device", func(t *testing.T) {
		asBefore(t)
		refused(t, Config{Name: "pci:0000:00:1f.7"}, irq.ErrNoSuchDevice)
		refused(t, Config{Name: "pci:../../etc"}, irq.ErrNoSuchDevice)
	})
	t.Run("no driver", func(t *testing.T) {
		asBefore(t)
		refused(t, pci("edu0", "", nil), irq.ErrNoSuchDevice)
	})
	t.Run("the kernel's disk", func(t *testing.T) {
		asBefore(t)
		guest.Load(t, "nvme")
		e := refused(t, pci("nvme0", "nvme", nil), irq.ErrAlreadyConnected)
		if h := e.Conflicts[0].Holders[0]; h.Kind != irq.HolderKernel || h.Driver != "nvme" {
			t.Error(e)
		}
	})
	t.Run("a foreign driver in the group", func(t *testing.T) {
		asBefore(t)
		guest.Load(t, "8139cp")
		other := guest.Device(t, "group1")
		guest.Bind(t, other, "8139cp")
		e := refused(t, pci("group0", "vfio-pci", nil), irq.ErrAlreadyConnected)
		if h := e.Conflicts[0].Holders[0]; h.Device != other || h.Driver != "8139cp" || !strings.Contains(strings.Join(e.Remedies, "\n"), "ivt bind "+other) {
			t.Error(e)
		}
	})
	t.Run("a process outside", func(t *testing.T) {
		asBefore(t)
		c := pci("edu0", "vfio-pci", nil)
		path := "/dev/vfio/" + guest.Group(strings.TrimPrefix(c.Name, "pci:"))
		openElsewhere(t, path)
		c.Foreign = func(asked string) []irq.Holder {
			if asked != path {
				t.Errorf("asked for %s", asked)
			}
			return []irq.Holder{{Kind: irq.HolderProcess, PID: 4711}}
		}
		if e := refused(t, c, irq.ErrAlreadyConnected); e.Reason != irq.ReasonForeignHolds || e.Conflicts[0].Holders[0].PID != 4711 {
			t.Error(e)
		}
		c.Foreign = nil
		if e := refused(t, c, irq.ErrAlreadyConnected); e.Conflicts[0].Holders[0].Kind != irq.HolderUnknown || e.Conflicts[0].Holders[0].Label == "" {
			t.Errorf("nobody looks: %v", e)
		}
	})
}

// Without permission on /dev/vfio/N it is 5, with the file and how to get it.
func TestVMNoPermission(t *testing.T) {
	asBefore(t)
	guest.Require(t)
	guest.Load(t, "vfio-pci")
	address := guest.Device(t, "edu0")
	guest.Bind(t, address, "vfio-pci")
	opened := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread of another user ends with the goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 1001, 1001, 1001); errno != 0 {
			opened <- errno
			return
		}
		s, err := Lookup("pci").Open(context.Background(), Config{Name: "pci:" + address})
		if err == nil {
			s.Close()
		}
		opened <- err
	}()
	var e *irq.Error
	file := "/dev/vfio/" + guest.Group(address)
	if err := <-opened; !errors.As(err, &e) || e.Code != irq.ErrAccessDenied || !strings.Contains(strings.Join(e.Remedies, "\n"), file) {
		t.Errorf("got %v", err)
	}
}

// Unbind waits until every descriptor is closed: we hear of it, and let go.
func TestVMUnbindDoesNotHang(t *testing.T) {
	asBefore(t)
	b, address := openPCI(t, "edu0", nil)
	g := b.connect(b.vector("msi", 0))
	unbound := make(chan error, 1)
	go func() {
		unbound <- os.WriteFile("/sys/bus/pci/drivers/vfio-pci/unbind", []byte(address), 0)
	}()
	<-b.source.Gone()
	select {
	case err := <-unbound:
		t.Errorf("it went without asking: %v", err)
	default:
	}
	b.let1167(g)
	if err := <-unbound; err != nil {
		t.Error(err)
	}
	if d := guest.Driver(address); d != "" {
		t.Errorf("it still has the driver %s", d)
	}
}

// An uncorrectable error of the device is told to its holders, and it is let go. The kernel signals it here as it would then.
func TestVMErrorIsTold(t *testing.T) {
	asBefore(t)
	b, _ := openPCI(t, "nic0", map[string]any{"interrupts": "msix"})
	one, two := b.connect(b.vector("msix", 0)), b.connect(b.vector("msix", 4))
	select {
	case <-b.source.Gone():
		t.Fatal("it is gone before")
	default:
	}
	if err := b.source.(*vfio).port.Ring(kernel.VFIOErr, 0); err != nil {
		t.Fatal(err)
	}
	<-b.source.Gone()
	if _, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{b.vector("msix", 1)}}); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("connect to what is leaving: %v", err)
	}
	b.let1167(one, two)
}

// let1167 detaches the source by force and closes it, as the daemon does when the device leaves.
func (b *bench) let1167(grips ...*grip) {
	b.t.Helper()
	if err := b.attached.Detach(context.Background(), true); err != nil {
		b.t.Fatal(err)
	}
	for _, g := range grips {
		<-g.conn.Done()
		var e *irq.Error
		if err := g.conn.Err(); !errors.As(err, &e) || e.Code != irq.ErrNotConnected || e.Reason != irq.ReasonSourceGone {
			b.t.Errorf("the holder was told %v", err)
		}
	}
	b.close()
}

// Unplugged and plugged in again: 1167 to each, then it connects, as another instance.
func TestVMUnplugAndReplug(t *testing.T) {
	for _, test := range []struct{ id, kind string }{{"hot0", "msi"}, {"hot0", "intx"}, {"nic1", "msix"}} {
		t.Run(test.id+" "+test.kind, func(t *testing.T) {
			asBefore(t)
			var former string
			for round := range 3 {
				t.Run(fmt.Sprint(round), func(t *testing.T) {
					b, address := openPCI(t, test.id, map[string]any{"interrupts": test.kind})
					g := b.connect(b.vector(test.kind, 0))
					if test.id == "hot0" {
						eduHardware(t, address).paced(t, g, 3)
					}
					if i := b.attached.Instance(); i == "" || i == former {
						t.Errorf("instance %q after %q", i, former)
					}
					former = b.attached.Instance()
					guest.Unplug(t, test.id)
					<-b.source.Gone()
					b.let1167(g)
					guest.Gone(t, test.id)
				})
			}
		})
	}
}

func TestVMCharacterDevice(t *testing.T) {
	asBefore(t)
	guest.Require(t)
	guest.Load(t, "vfio-pci")
	if _, err := os.Stat("/dev/iommu"); err != nil {
		t.Skipf("this kernel (%s) has no iommufd; try: the own kernel", guest.Release())
	}
	b, address := openPCI(t, "edu0", map[string]any{"open": "cdev"})
	g := b.connect(b.vector("msi", 0))
	eduHardware(t, address).paced(t, g, 20)
	c := Config{Name: b.attached.Name()}
	if e := refused(t, c, irq.ErrAlreadyConnected); e.Reason != irq.ReasonForeignHolds {
		t.Error(e)
	}
}

// Unplugged while somebody connects and disconnects all the time: each gets the vector or a clear 1167, and nothing is left.
func TestVMUnplugDuringConnect(t *testing.T) {
	asBefore(t)
	b, _ := openPCI(t, "hot1", map[string]any{"interrupts": "msi"})
	v := b.vector("msi", 0)
	tried, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		for {
			c, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{v}})
			if err != nil {
				ended <- err
				return
			}
			if err := c.Disconnect(context.Background()); err != nil && !errors.Is(err, irq.ErrNotConnected) {
				ended <- err
				return
			}
			select {
			case tried <- struct{}{}:
			default:
			}
		}
	}()
	for range 5 {
		<-tried
	}
	guest.Unplug(t, "hot1")
	<-b.source.Gone()
	if err := b.attached.Detach(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, irq.ErrNotConnected) && !errors.Is(err, irq.ErrNoSuchDevice) {
		t.Errorf("the last one got %v", err)
	}
	b.close()
	guest.Gone(t, "hot1")
}
