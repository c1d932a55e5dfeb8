//go:build linux

// Package noiommu has the tests of pci sources on a machine without IOMMU, which is a boot of its own.
package noiommu

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/source"
	"github.com/ivtd/ivt/test/vm/guest"
)

//vm:iommu off

const unsafeMode = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

func open(t *testing.T, address string, settings map[string]any) (source.Source, *irq.Error) {
	t.Helper()
	s, err := source.Lookup("pci").Open(context.Background(), source.Config{Name: "pci:" + address, Settings: settings})
	var e *irq.Error
	if err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	return s, e
}

// Without an IOMMU the refusal says how to switch one on.
func TestVMNoIOMMUSaysHow(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "vfio-pci")
	_, e := open(t, guest.Device(t, "edu0"), nil)
	if e == nil || e.Code != irq.ErrNotSupported || !strings.Contains(strings.Join(e.Remedies, "\n"), "intel_iommu=on") {
		t.Errorf("got %v", e)
	}
}

// A function without any isolation is taken only if the policy says so in plain words.
func TestVMNoIOMMUNeedsPlainWords(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "vfio-pci")
	if _, err := os.Stat(unsafeMode); err != nil {
		t.Skipf("this kernel (%s) has no no-IOMMU mode; try: the own kernel", guest.Release())
	}
	if err := os.WriteFile(unsafeMode, []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	address := guest.Device(t, "edu0")
	guest.Bind(t, address, "vfio-pci")
	if _, e := open(t, address, nil); e == nil || e.Code != irq.ErrAccessDenied || !strings.Contains(strings.Join(e.Remedies, "\n"), "unsafe_noiommu = true") {
		t.Errorf("without a word of the policy: %v", e)
	}
	s, e := open(t, address, map[string]any{"unsafe_noiommu": true})
	if e != nil {
		t.Fatal(e)
	}
	defer s.Close()
	if p := s.Spec().Protection; p != "permissions" {
		t.Errorf("protection %q", p)
	}
	registry := irq.New(irq.Config{})
	defer registry.Close()
	attached, err := registry.Attach(s.Spec())
	if err != nil {
		t.Fatal(err)
	}
	s.Attached(attached)
	v := irq.Vector{Source: "pci:" + address, Type: "msi"}
	c, err := registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{v}, Access: irq.AccessDevice})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Descriptors(irq.Claim{Vector: v, Connection: c.ID(), Generation: 1})
	if err != nil {
		t.Fatal(err)
	}
	edu := guest.OpenEdu(t, address)
	for range 5 {
		edu.Raise(1)
		if n, err := kernel.ReadEventfd(d.FD); n == 0 || err != nil {
			t.Errorf("counted %d, %v", n, err)
		}
		edu.Ack(1)
	}
	d.Close()
	if err := c.Disconnect(context.Background()); err != nil {
		t.Error(err)
	}
}
