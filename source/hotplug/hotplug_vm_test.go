//go:build linux

// Package hotplug has the tests of devices that come and go under a running ivtd.
package hotplug

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ivtd/ivt/internal/daemon"
	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

//vm:run ^TestVM

func start(t *testing.T, text string) *daemon.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ivtd.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Load(file, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := daemon.New(daemon.Config{Policy: p, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A device that the policy names is taken when it appears and let go when it leaves, again and again, each time as another instance;
// what the policy does not name is left alone.
func TestVMDevicesComeAndGo(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "vfio-pci")
	address := guest.Device(t, "hot0")
	name := "pci:" + address
	s := start(t, fmt.Sprintf("[[device]]\nmatch = { name = %q }\n", name))
	if len(s.Sources()) != 0 {
		t.Fatalf("open at first: %v", s.Sources())
	}
	instances := map[string]bool{}
	for round := range 3 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			guest.Bind(t, guest.Device(t, "hot1"), "vfio-pci")
			guest.Bind(t, address, "vfio-pci")
			guest.Eventually(t, "the device is open", func() bool { return s.Sources()[name] != nil })
			if len(s.Sources()) != 1 {
				t.Errorf("open are %v", s.Sources())
			}
			i := s.Registry().Source(name).Instance()
			if instances[i] {
				t.Errorf("instance %s was there before", i)
			}
			instances[i] = true
			c, err := s.Registry().Connect(t.Context(), irq.Request{Vectors: []irq.Vector{{Source: name, Type: "msi"}}})
			if err != nil {
				t.Fatal(err)
			}
			d, err := s.Sources()[name].Descriptors(irq.Claim{Vector: c.Vectors()[0], Connection: c.ID(), Generation: 1})
			if err != nil {
				t.Fatal(err)
			}
			edu := guest.OpenEdu(t, address)
			edu.Raise(1)
			if n, err := kernel.ReadEventfd(d.FD); n == 0 || err != nil {
				t.Errorf("read %d, %v", n, err)
			}
			edu.Ack(1)
			d.Close()
			guest.Unplug(t, "hot0")
			<-c.Done()
			if err := c.Err(); !errors.Is(err, irq.ErrNotConnected) {
				t.Errorf("its holder was told %v", err)
			}
			guest.Gone(t, "hot0")
			guest.Eventually(t, "the source is gone", func() bool { return s.Sources()[name] == nil })
		})
	}
}

// A UIO device that is unbound does not tell who has it open; the kernel's messages do.
func TestVMUnboundUIOLeaves(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "uio_pci_generic")
	s := start(t, "[[device]]\nmatch = { driver = \"uio_pci_generic\" }\n")
	address := guest.Device(t, "edu0")
	for range 3 {
		t.Run("", func(t *testing.T) {
			guest.Bind(t, address, "uio_pci_generic")
			guest.Eventually(t, "it is open", func() bool { return len(s.Sources()) == 1 })
			for name := range s.Sources() {
				if _, err := s.Registry().Connect(t.Context(), irq.Request{Vectors: []irq.Vector{{Source: name}}}); err != nil {
					t.Error(err)
				}
			}
			if err := os.WriteFile("/sys/bus/pci/drivers/uio_pci_generic/unbind", []byte(address), 0); err != nil {
				t.Fatal(err)
			}
			guest.Eventually(t, "it is gone", func() bool { return len(s.Sources()) == 0 })
		})
	}
}
