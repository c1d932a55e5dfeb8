package host_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/hosttest"
)

func TestDiff(t *testing.T) {
	const before, after = `== proc/interrupts
 CPU0 CPU1
 1: 1 0 IO-APIC 1-edge  i8042
 5: 1 0 IO-APIC 5-edge  old
 16: 1 0 IO-APIC 16-fasteoi  a, b
 25: 1 0 PCI-MSIX-0000:02:00.0 1-edge  vfio-msix[1](0000:02:00.0)
 26: 1 0 PCI-MSIX-0000:02:00.0 2-edge  q2
== proc/irq/1/smp_affinity_list
0-1
== proc/irq/1/effective_affinity_list
0
== sys/bus/pci/devices/0000:02:00.0 driver=vfio-pci iommu_group=9 msi_irqs=25:msix 26:msix
== proc/70 comm=first start=7 fd=/dev/vfio/9
`, `== proc/interrupts
 CPU0 CPU1
 1: 9 0 IO-APIC 1-edge  i8042
 7: 0 0 IO-APIC 7-edge  new
 16: 1 0 IO-APIC 16-fasteoi  b, c
 25: 1 0 PCI-MSIX-0000:02:00.0 1-edge  vfio-msix[1](0000:02:00.0)
 29: 1 0 PCI-MSIX-0000:02:00.0 2-edge  q2
== proc/irq/1/smp_affinity_list
1
== proc/irq/1/effective_affinity_list
1
== sys/bus/pci/devices/0000:02:00.0 driver=vfio-pci iommu_group=9 msi_irqs=25:msix 29:msix
== proc/71 comm=second start=8 fd=/dev/vfio/9
`
	full := func(text string, seconds int) *host.Machine {
		m, err := hosttest.OpenText(t, text).Read(context.Background(), host.Options{Parts: host.PartAll})
		if err != nil {
			t.Fatal(err)
		}
		return at(m, seconds)
	}
	d := host.Diff(full(before, 0), full(after, 4))
	want := []host.Change{
		{What: "asked", IRQ: 1, Name: "irq:1", Before: "0-1", After: "1"},
		{What: "moved", IRQ: 1, Name: "irq:1", Before: "0", After: "1"},
		{What: "vanished", IRQ: 5, Name: "irq:5", Before: "old, IO-APIC 5"},
		{What: "appeared", IRQ: 7, Name: "irq:7", After: "new, IO-APIC 7"},
		{What: "handler", IRQ: 16, Name: "irq:16", Before: "a, b", After: "b, c"},
		{What: "holder", IRQ: 25, Name: "pci:0000:02:00.0/msix/1", Before: "pid 70 (first)", After: "pid 71 (second)"},
		{What: "renumbered", IRQ: 29, Name: "pci:0000:02:00.0/msix/2", Before: "irq 26", After: "irq 29"},
	}
	if diff := cmp.Diff(want, d.Changes); diff != "" {
		t.Error(diff)
	}
	if d.Rates == nil || d.Rates.IRQs[0].Total != 2 {
		t.Errorf("%+v", d.Rates)
	}
	stopped := full(before, 0)
	stopped.IRQ(1).Debug = &host.Debug{}
	again := full(before, 4)
	again.IRQ(1).Debug = &host.Debug{Flags: []string{"IRQS_SPURIOUS_DISABLED"}}
	if d := host.Diff(stopped, again); len(d.Changes) != 1 || d.Changes[0].What != host.ChangedDisabled || d.Changes[0].After != "disabled" {
		t.Errorf("nobody cared: %+v", d.Changes)
	}
	if d := host.Diff(full(before, 0), full(before, 0)); len(d.Changes) != 0 || d.Rates != nil || len(d.Notes) != 1 {
		t.Errorf("of one machine with itself: %+v", d)
	}
}
