//go:build linux

package source

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// uioDevice gives an emulated device to uio_pci_generic and returns the name of its source.
func uioDevice(t *testing.T, id string) (name, address string) {
	t.Helper()
	guest.Require(t)
	guest.Load(t, "uio_pci_generic")
	address = guest.Device(t, id)
	guest.Bind(t, address, "uio_pci_generic")
	devices, err := filepath.Glob(guest.Sysfs(address, "uio/uio*"))
	if err != nil || len(devices) != 1 {
		t.Fatalf("its UIO devices are %v, %v", devices, err)
	}
	return "uio:" + filepath.Base(devices[0]), address
}

// Streams to two holders; the line is enabled again when both have acknowledged, and the device counts what was served.
func TestVMUIOSharedStream(t *testing.T) {
	asBefore(t)
	name, address := uioDevice(t, "edu0")
	b := openSource(t, Config{Name: name})
	v := irq.Vector{Source: name}
	side := eduHardware(t, address)
	one, two := b.connect(v, share), b.connect(v, share)
	for i := range uint64(20) {
		side.raise()
		r1, r2 := one.next(), two.next()
		if r1.Sequence != i+1 || r1.Arrived != i+1 || r2.Flags&record.Level == 0 {
			t.Errorf("interrupt %d: %+v and %+v", i+1, r1, r2)
		}
		side.ack()
		one.ack(r1, record.Handled)
		one.none() // the line is still masked
		two.ack(r2, record.Handled)
	}
	two.disconnect()
	side.raise()
	r := one.next()
	side.ack()
	one.ack(r, record.Handled)
	if _, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{v}}); !errors.Is(err, irq.ErrAlreadyConnected) {
		t.Errorf("alone beside a sharer: %v", err)
	}
	if _, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{{Source: name, Index: 1}}}); !errors.Is(err, irq.ErrInvalidParameter) {
		t.Errorf("a second vector: %v", err)
	}
}

// A restart loses nothing: the running total goes on from where the former process had got to.
func TestVMUIOAdoption(t *testing.T) {
	asBefore(t)
	name, address := uioDevice(t, "edu0")
	c := Config{Name: name, Keep: newMemoryKeep(t)}
	b := openSource(t, c)
	side := eduHardware(t, address)
	g := b.connect(irq.Vector{Source: name})
	for range 5 {
		side.raise()
		r := g.next()
		side.ack()
		g.ack(r, record.Handled)
		b.restart(c, g)
		for r = g.next(); r.Flags&record.Rang == 0; r = g.next() { // one that the kernel had counted may come before the ring
			g.ack(r, record.Handled)
		}
		g.ack(r, record.Handled)
	}
	if i := b.attached.Instance(); i == "" {
		t.Error("no instance")
	}
}

func TestVMUIOUnbind(t *testing.T) {
	asBefore(t)
	name, address := uioDevice(t, "edu0")
	b := openSource(t, Config{Name: name})
	g := b.connect(irq.Vector{Source: name})
	changes := make(chan Change, 100)
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan error)
	go func() { watched <- Watch(ctx, func(c Change) { changes <- c }) }()
	guest.Eventually(t, "the watcher listens", func() bool { return ueventsHeard(t) })
	if err := os.WriteFile("/sys/bus/pci/drivers/uio_pci_generic/unbind", []byte(address), 0); err != nil {
		t.Fatal(err)
	}
	for c := range changes { // an open UIO device may hear nothing itself: the kernel's uevents tell
		if c == (Change{Left, name}) {
			break
		}
	}
	cancel()
	if err := <-watched; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	b.let1167(g)
	refused(t, Config{Name: name}, irq.ErrNoSuchDevice)
}

// ueventsHeard reports whether this process listens to uevents.
func ueventsHeard(t *testing.T) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 3 && f[1] == "15" && f[2] != "0" && f[3] == "00000001" {
			return true
		}
	}
	return false
}

func TestVMUIOWithoutInterrupt(t *testing.T) {
	asBefore(t)
	name, _ := uioDevice(t, "testdev0")
	if e := refused(t, Config{Name: name}, irq.ErrNotSupported); !strings.Contains(e.Detail, "no interrupt") {
		t.Error(e)
	}
}

func TestVMUIORefusals(t *testing.T) {
	asBefore(t)
	name, _ := uioDevice(t, "edu0")
	path := "/dev/" + strings.TrimPrefix(name, "uio:")
	openElsewhere(t, path)
	foreign := func(asked string) []irq.Holder {
		if asked != path {
			t.Errorf("asked for %s", asked)
		}
		return []irq.Holder{{Kind: irq.HolderProcess, PID: os.Getpid()}, {Kind: irq.HolderProcess, PID: 4711}}
	}
	e := refused(t, Config{Name: name, Foreign: foreign}, irq.ErrAlreadyConnected)
	if e.Reason != irq.ReasonForeignHolds {
		t.Error(e)
	}
	refused(t, Config{Name: "uio:uio99"}, irq.ErrNoSuchDevice)
	refused(t, Config{Name: "uio:../uio0"}, irq.ErrNoSuchDevice)
	b := openSource(t, Config{Name: name})
	if _, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{{Source: name}}, Access: irq.AccessDevice}); !errors.Is(err, irq.ErrNotSupported) {
		t.Errorf("a device grant: %v", err)
	}
}
