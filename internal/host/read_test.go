package host_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/hosttest"
)

func read(t testing.TB, name string, parts host.Parts) *host.Machine {
	t.Helper()
	m, err := hosttest.Open(t, "testdata/"+name+".tree").Read(context.Background(), host.Options{Parts: parts})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// line is one irq as a test's table has it.
func line(q *host.IRQ) string {
	names := make([]string, len(q.Handlers))
	for i, h := range q.Handlers {
		names[i] = h.Name
	}
	return fmt.Sprintf("%d|%s|%d|%s|%s|%s|%s", q.Number, q.Chip, q.HWIRQ, q.Trigger, strings.Join(names, " + "), q.Driver, q.Name())
}

func TestReadEachArchitecture(t *testing.T) {
	for _, c := range []struct {
		tree, arch string
		want       []string
	}{
		{"x86-4.9", "x86", []string{
			"16|IO-APIC|16|level|uhci_hcd:usb3 + ehci_hcd:usb1 + nvidia||irq:16",
			"25|PCI-MSI|458752|edge|PCIe PME + pciehp||irq:25", // without sysfs: msi or msix is not known
			"26|PCI-MSI|512000|edge|ahci[0000:00:1f.2]||irq:26",
		}},
		{"x86-6.1", "x86_64", []string{
			"16|IR-IO-APIC|16|level|i801_smbus + ehci_hcd:usb1|ehci-pci, i801_smbus|irq:16",
			"17|IR-IO-APIC|17|level|plc timer, east + plc timer||irq:17",
			"18|IR-IO-APIC|18|level|snd_ens1371|snd_ens1371|pci:0000:00:05.0/intx/0",
			"122|IR-PCI-MSI|458752|edge|PCIe PME + aerdrv + pciehp|pcieport|pci:0000:00:1c.0/msi/0",
			"125|IR-PCI-MSI|31981569|edge|nvme0q1|nvme|pci:0000:3d:00.0/msix/1",
			"126|IR-PCI-MSI|30932994|edge|vfio-msix[2](0000:3b:00.0)|vfio-pci|pci:0000:3b:00.0/msix/2",
			"140|IR-PCI-MSI|30932995|edge||vfio-pci|pci:0000:3b:00.0/msix/3", // no row: nobody requested it
		}},
		{"x86-6.18", "x86_64", []string{
			"16|IO-APIC|16|level|vfio-intx(0000:02:00.0)|vfio-pci|pci:0000:02:00.0/intx/0",
			"27|IR-PCI-MSIX-0000:3b:00.0|2|edge|vfio-msix[2](0000:3b:00.0)|vfio-pci|pci:0000:3b:00.0/msix/2",
			"28|PCI-MSI-0000:00:1f.3|0|edge|snd_hda_intel:card0|snd_hda_intel|pci:0000:00:1f.3/msi/0",
		}},
		{"arm64", "arm", []string{
			"10|GICv3|30|level|arch_timer||irq:10",
			"23|9030000.pl061|3|edge|GPIO Key Poweroff||irq:23",
			"24|GICv3|66|level|fd300000.dma|dma-pl330|irq:24",
			"51|ITS-MSI|16384|edge|virtio0-config||irq:51",
			"52|ITS-MSI|524289|edge|nvme0q1|nvme|pci:0000:01:00.0/msix/1",
			"60|ITS-pMSI|0|edge|arm-smmu-v3-evtq|arm-smmu-v3|irq:60",
		}},
		{"riscv", "riscv", []string{
			"5|RISC-V INTC|5|edge|riscv-timer||irq:5",
			"12|APLIC-d000000.aplic|33|level|virtio0|virtio-mmio|irq:12",
			"18|PCI-MSIX-0000:00:01.0|0|edge|virtio1-config||pci:0000:00:01.0/msix/0",
		}},
		{"powerpc", "powerpc", []string{"17|XIVE-IRQ|4096|level|hvc_console||irq:17", "21|MPIC|38|level|PCIe PME + pciehp||irq:21"}},
		{"s390", "s390x", []string{"4|PCI-MSI|-1|edge|mlx5_comp0@pci:0001:00:00.0|mlx5_core|irq:4"}},
	} {
		t.Run(c.tree, func(t *testing.T) {
			m := read(t, c.tree, host.PartAll)
			if m.Arch != c.arch || len(m.Problems) > 0 {
				t.Errorf("arch %q, problems %v", m.Arch, m.Problems)
			}
			got := []string{}
			for i := range m.IRQs {
				if l := line(&m.IRQs[i]); strings.Contains("\n"+strings.Join(c.want, "\n"), fmt.Sprintf("\n%d|", m.IRQs[i].Number)) {
					got = append(got, l)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCountsBelongToCPUsOfTheHeader(t *testing.T) {
	m := read(t, "x86-6.1", host.PartCounts)
	q := m.IRQ(126)
	if got := m.Count(q, 3); got != 5 || m.Count(q, 2) != 0 {
		t.Errorf("CPU 3 has %d, CPU 2, which is offline, has %d", got, m.Count(q, 2))
	}
	if !cmp.Equal(m.Columns, []int{0, 1, 3}) || m.CPUs.Online.String() != "0-1,3" {
		t.Errorf("columns %v, online %s", m.Columns, m.CPUs.Online)
	}
	if m := read(t, "x86-6.1", host.PartList); m.IRQ(126).Counts != nil || m.IRQ(126).Total != 5 {
		t.Error("counts that nobody asked for")
	}
}

func TestRows(t *testing.T) {
	m := read(t, "powerpc", host.PartCounts)
	var got []string
	for _, row := range m.Rows {
		got = append(got, fmt.Sprint(row.Label, " ", row.Counts, " ", row.Description))
	}
	want := []string{"LOC [100 200] Local timer interrupts for timer event device", "BCT [0 0] Broadcast timer interrupts for timer event device",
		"LOC [5 6] Local timer interrupts for others", "SPU [0 0] Spurious interrupts", "DBL [1 2] Doorbell interrupts"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, row := range read(t, "arm64", host.PartCounts).Rows {
		if row.Label == "Err" && (row.PerCPU || row.Total != 5000000000) {
			t.Errorf("%+v", row)
		}
	}
}

func TestSystem(t *testing.T) {
	m := read(t, "x86-6.1", host.PartAll)
	if m.Kernel != "6.1.0-44-amd64" || m.Booted.Unix() != 1700000000 {
		t.Errorf("kernel %q, booted %s", m.Kernel, m.Booted)
	}
	want := []string{"isolcpus=managed_irq,domain,3", "nohz_full=3", "vfio-pci.ids=8086:10d3", "vfio_pci.nointxmask=1", "irqaffinity=0-1"}
	if d := cmp.Diff(want, m.Cmdline); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]host.GPE{{Name: "gpe6F", Count: 123456, State: "EN STS enabled unmasked"}, {Name: "gpe70", State: "invalid unmasked"}, {Name: "sci", Count: 123456}}, m.GPEs); d != "" {
		t.Error(d)
	}
	cpus := fmt.Sprint(m.CPUs.Possible, " ", m.CPUs.Isolated, " ", m.CPUs.NohzFull, " ", m.CPUs.Nodes)
	if cpus != "0-3 3 3 [{0 0-1} {1 2-3}]" {
		t.Error(cpus)
	}
	if len(m.Softirqs) != 2 || len(m.SoftirqColumns) != 4 || m.Softirqs[1].Total != 48385+61307+2 {
		t.Errorf("%+v", m.Softirqs)
	}
	if old := read(t, "x86-4.9", host.PartAll); !old.CPUs.NohzFull.Known() || old.CPUs.NohzFull.Len() != 0 || old.CPUs.Isolated.Known() {
		t.Errorf("nohz_full (null): %v, isolated without file: %v", old.CPUs.NohzFull, old.CPUs.Isolated)
	}
}

func TestAffinity(t *testing.T) {
	for _, c := range []struct {
		tree string
		irq  int
		want string
	}{
		{"x86-6.1", 124, "asked 0-3 effective 0 hint  node 0 settable unknown managed unknown "},
		{"x86-6.1", 125, "asked 1 effective 1 hint 1 node 0 settable unknown managed unknown "},
		{"x86-6.18", 25, "asked 0-3 effective 2 hint  node -1 settable no managed yes file mode"},
		{"x86-6.18", 26, "asked 0-3 effective 0 hint  node 0 settable no managed yes debugfs"},
		{"x86-6.18", 9, "asked 0-3 effective 2 hint  node -1 settable no managed unknown "},
	} {
		a := read(t, c.tree, host.PartAll).IRQ(c.irq).Affinity
		got := fmt.Sprint("asked ", a.Asked, " effective ", a.Effective, " hint ", a.Hint, " node ", a.Node, " settable ", a.Settable, " managed ", a.Managed, " ", a.ManagedBy)
		if got != c.want {
			t.Errorf("%s irq %d: %s, want %s", c.tree, c.irq, got, c.want)
		}
	}
}

func TestSpuriousDebugThreads(t *testing.T) {
	m := read(t, "x86-6.1", host.PartAll)
	s := m.IRQ(125).Spurious
	if s.Count != 99950 || s.Unhandled != 99901 || s.Last.String() != "21m18.556s" { // 300 s more than the file says
		t.Errorf("%+v", s)
	}
	if h := m.IRQ(122).Handlers; h[2].Thread != 501 || h[2].Policy != "fifo" || h[2].Priority != 50 || h[0].Thread != 0 {
		t.Errorf("%+v", h)
	}
	if h := m.IRQ(16).Handlers; h[1].Thread != 502 || h[0].Thread != 0 {
		t.Errorf("thread of a cut name: %+v", h)
	}
	if q := m.IRQ(122); q.Wakeup != "enabled" {
		t.Error(q.Wakeup)
	}
	if q := m.IRQ(140); q.Total != 3 || len(q.Holders) != 0 {
		t.Errorf("%+v", q)
	}
	want := &host.Debug{Handler: "handle_edge_irq", Device: "0000:3b:00.0", Depth: 1, Vector: 33, Target: 0,
		Flags:  []string{"IRQS_ONESHOT", "IRQD_ACTIVATED", "IRQD_IRQ_DISABLED", "IRQD_AFFINITY_MANAGED"},
		Domain: []string{"IR-PCI-MSIX-0000:3b:00.0-12", "INTEL-IR-0-13", "VECTOR"}}
	if d := cmp.Diff(want, read(t, "x86-6.18", host.PartAll).IRQ(26).Debug); d != "" {
		t.Error(d)
	}
}

func TestDevices(t *testing.T) {
	m := read(t, "x86-6.1", host.PartAll)
	byAddress := map[string]*host.Device{}
	for _, d := range m.Devices {
		byAddress[d.Address] = d
	}
	want := &host.Device{Source: "pci:0000:03:00.0", Address: "0000:03:00.0", Path: "/sys/devices/pci0000:03/0000:03:00.0", Driver: "i40e",
		Class: "020000", Vendor: "8086", Product: "1572", Line: 17, Mode: "msix", IRQs: []int{127, 128, 129, 130}, Group: "13",
		Net: []string{"enx001122aabbcc", "eth0"}, TotalVFs: 64, ActiveVFs: 4}
	got := *byAddress["0000:03:00.0"]
	got.Name = "" // of the machine's own pci.ids
	if d := cmp.Diff(want, &got); d != "" {
		t.Error(d)
	}
	if d := byAddress["0000:3d:00.0"]; !cmp.Equal(d.Block, []string{"nvme0n1"}) {
		t.Errorf("a partition is no disk: %v", d.Block)
	}
	if d := byAddress["0000:05:00.0"]; d.UIO != "uio0" {
		t.Error(d.UIO)
	}
	if n := len(m.IRQ(16).Devices); n != 2 { // the third names the line too, but has no driver
		t.Errorf("%d devices on irq 16", n)
	}
}

func TestOneIRQReadsOnlyItsFiles(t *testing.T) {
	r := hosttest.Open(t, "testdata/x86-6.1.tree")
	m, err := r.Read(context.Background(), host.Options{Parts: host.PartAffinity, Only: []int{124}})
	if err != nil || m.IRQ(124).Affinity == nil || m.IRQ(125).Affinity != nil {
		t.Error("the files of another irq were read, or those of this one were not", err)
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := hosttest.Open(t, "testdata/x86-6.1.tree").Read(ctx, host.Options{Parts: host.PartAll}); err != context.Canceled {
		t.Error(err)
	}
}

// The trees taken of real machines, where they are beside this one.
func TestCaptureTree(t *testing.T) {
	const dir = "../../../shared/captures/live-2cpu-6.18/"
	tree, err := os.ReadFile(dir + "tree.txt")
	if err != nil {
		t.Skip("no captures beside the tree; try: put one of a machine under ../shared/captures/")
	}
	table, err := os.ReadFile(dir + "interrupts")
	if err != nil {
		t.Fatal(err)
	}
	r := hosttest.OpenText(t, string(tree)+"\n== proc/interrupts\n"+string(table))
	m, err := r.Read(context.Background(), host.Options{Parts: host.PartAll})
	if err != nil || len(m.Problems) > 0 {
		t.Fatal(err, m.Problems)
	}
	if q := m.IRQ(36); q.Name() != "pci:0000:00:02.0/msix/1" || q.Driver != "virtio-pci" || q.Affinity.Settable != host.No || q.Affinity.Managed != host.Yes {
		t.Errorf("%s %+v", line(q), q.Affinity)
	}
	if q := m.IRQ(27); q == nil || len(q.Handlers) != 0 || q.Chip != "IO-APIC" {
		t.Errorf("the irq that nobody requested: %+v", q)
	}
}

func TestEveryCaptureOpens(t *testing.T) {
	names, _ := filepath.Glob("../../../shared/captures/*/interrupts*")
	if len(names) == 0 {
		t.Skip("no captures beside the tree; try: put copies of /proc/interrupts under ../shared/captures/NAME/")
	}
	for _, name := range names {
		r, err := host.Open(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, err := r.Read(context.Background(), host.Options{Parts: host.PartAll})
		if err != nil || len(m.Problems) > 0 || len(m.IRQs) == 0 || len(m.Blind) == 0 {
			t.Errorf("%s: %v %v, %d irqs, blind %v", name, err, m.Problems, len(m.IRQs), m.Blind)
		}
	}
}
