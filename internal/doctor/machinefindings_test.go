package doctor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/vectormap"
)

func TestUnhandled(t *testing.T) {
	const id = "unhandled"
	spurious := func(count, unhandled, last int) string {
		return with("count 3000\nunhandled 3\nlast_unhandled 280000 ms", fmt.Sprintf("count %d\nunhandled %d\nlast_unhandled %d ms", count, unhandled, last))
	}
	for name, test := range map[string]struct {
		tree   string
		uptime time.Duration
		want   []string
	}{
		"most of late":                  {spurious(90000, 80000, 290000), 0, []string{"warning: 80000 interrupts on irq 16"}},
		"some of late":                  {spurious(90000, 5000, 290000), 0, []string{"notice: 5000 interrupts on irq 16"}},
		"a burst an hour ago":           {spurious(90000, 80000, 290000), time.Hour + 10*time.Minute, []string{"info: 80000 interrupts on irq 16 were handled by nobody 1h0m ago"}},
		"few":                           {spurious(90000, 900, 290000), 0, nil},
		"one, as the captured one has":  {spurious(148, 1, 290000), 0, nil},
		"a clock that nobody can trust": {spurious(90000, 80000, 290000), 80 * 24 * time.Hour, []string{"warning: "}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, Examine(scene{tree: test.tree, uptime: test.uptime}.input(t)), id, test.want...)
		})
	}
}

func TestStorm(t *testing.T) {
	const id = "interrupt-storm"
	fired := func(old, n string) string {
		return with(old, strings.Repeat(" ", len(old)-len(strings.TrimLeft(old, " ")))+n+old[len(old)-len(strings.TrimLeft(old, " "))+len(strings.Fields(old)[0]):])
	}
	line := fired("       3000          0  IR-IO-APIC  16", "33000")
	message := fired("      90000          0          0  IR-PCI-MSIX-0000:01:00.0   1", "390000")
	busy := fired("      90000          0          0  IR-PCI-MSIX-0000:01:00.0   1", "150000")
	t.Run("a line", func(t *testing.T) {
		expect(t, Examine(scene{tree: line, before: healthy}.input(t)), id, "notice: irq 16 (i801_smbus, ehci_hcd:usb1) fires 30000 times a second")
	})
	t.Run("a line that nobody handles", func(t *testing.T) {
		tree := strings.Replace(line, "count 3000\nunhandled 3\n", "count 33000\nunhandled 29000\n", 1)
		expect(t, Examine(scene{tree: tree, before: healthy}.input(t)), id, "warning: ").mentions(t, "handled by nobody")
	})
	t.Run("a message", func(t *testing.T) {
		expect(t, Examine(scene{tree: message, before: healthy}.input(t)), id, "notice: irq 125")
	})
	t.Run("a flood of work is nobody's fault", func(t *testing.T) { expect(t, Examine(scene{tree: busy, before: healthy}.input(t)), id) })
	t.Run("errors of the local APIC", func(t *testing.T) {
		expect(t, Examine(scene{tree: with(" ERR:          0", " ERR:         50"), before: healthy}.input(t)), id, "notice: The local APICs report 50 errors a second")
	})
	t.Run("one picture tells no rate", func(t *testing.T) {
		r := Examine(scene{tree: line}.input(t))
		expect(t, r, id)
		if !strings.Contains(fmt.Sprint(r.Unseen), "two pictures") {
			t.Errorf("%v", r.Unseen)
		}
	})
}

func TestSharedLine(t *testing.T) {
	const id = "shared-line"
	busy := with("       3000          0  IR-IO-APIC  16", "       9000          0  IR-IO-APIC  16")
	t.Run("busy now", func(t *testing.T) {
		expect(t, Examine(scene{tree: busy, before: healthy}.input(t)), id, "notice: 2 handlers share the busy irq 16").mentions(t, "6000 interrupts a second", "args->irq == 16")
	})
	t.Run("busy on average", func(t *testing.T) {
		expect(t, Examine(scene{tree: with("       3000          0  IR-IO-APIC  16", "   30000000          0  IR-IO-APIC  16")}.input(t)), id, "notice: ").mentions(t, "on average since boot")
	})
	t.Run("one driver's own", func(t *testing.T) {
		expect(t, Examine(scene{tree: strings.Replace(busy, "i801_smbus, ehci_hcd:usb1", "megasas, megasas", 1), before: strings.Replace(healthy, "i801_smbus, ehci_hcd:usb1", "megasas, megasas", 1)}.input(t)), id)
	})
	t.Run("quiet", func(t *testing.T) { expect(t, Examine(scene{tree: healthy, before: healthy}.input(t)), id) })
}

func TestGPEStorm(t *testing.T) {
	const id = "gpe-storm"
	storm := with("     120  EN     enabled      unmasked", "  100120  EN     enabled      unmasked")
	t.Run("now", func(t *testing.T) {
		expect(t, Examine(scene{tree: storm, before: healthy}.input(t)), id, "warning: Firmware event GPE6F fires 100000 times a second").mentions(t, "acpi_mask_gpe=0x6F", "echo mask >", "irq:9")
	})
	t.Run("on average", func(t *testing.T) { expect(t, Examine(scene{tree: storm}.input(t)), id, "warning: ") })
	t.Run("over", func(t *testing.T) { expect(t, Examine(scene{tree: storm, before: storm}.input(t)), id) })
	t.Run("masked by somebody", func(t *testing.T) {
		expect(t, Examine(scene{tree: strings.Replace(storm, "unmasked", "masked", 1)}.input(t)), id)
	})
	t.Run("absent", func(t *testing.T) { expect(t, Examine(scene{tree: healthy}.input(t)), id) })
}

func TestAffinityIgnored(t *testing.T) {
	const id = "affinity-ignored"
	away := with("== proc/irq/127/smp_affinity_list (644)\n3", "== proc/irq/127/smp_affinity_list (644)\n0-1")
	t.Run("elsewhere", func(t *testing.T) {
		expect(t, Examine(scene{tree: away}.input(t)), id, "notice: irq 127 was asked onto CPU 0-1 and is on CPU 3").mentions(t, "ivt affinity pci:0000:00:1f.6/msi/0 0-1")
	})
	t.Run("waits for the next interrupt", func(t *testing.T) {
		expect(t, Examine(scene{tree: away, before: away}.input(t)), id, "info: ").mentions(t, "waits for the next interrupt")
	})
	t.Run("managed, its CPUs offline", func(t *testing.T) {
		tree := strings.NewReplacer("== sys/devices/system/cpu/online\n0-3", "== sys/devices/system/cpu/online\n0-1", "== proc/irq/126/effective_affinity_list\n2", "== proc/irq/126/effective_affinity_list\n0").Replace(healthy)
		expect(t, Examine(scene{tree: tree}.input(t)), id)
	})
	t.Run("absent", func(t *testing.T) { expect(t, Examine(scene{tree: healthy}.input(t)), id) })
}

func TestIsolatedCPUs(t *testing.T) {
	const id = "isolated-cpus"
	isolated := func(cpus string) string {
		return with("== sys/devices/system/cpu/isolated\n", "== sys/devices/system/cpu/isolated\n"+cpus)
	}
	more := func(tree, old, new string) string { return strings.Replace(tree, old, new, 1) }
	t.Run("settable", func(t *testing.T) {
		tree := isolated("3")
		fired := more(tree, "       9000  IR-PCI-MSI-0000:00:1f.6", "       9100  IR-PCI-MSI-0000:00:1f.6")
		expect(t, Examine(scene{tree: fired, before: tree}.input(t)), id, "warning: 1 interrupt fires on isolated CPUs").
			mentions(t, "ivt affinity pci:0000:00:1f.6/msi/0 0-2", "irqaffinity=0-2", "echo 7 >", "/sys/devices/system/cpu/isolated")
	})
	t.Run("settable, once upon a time", func(t *testing.T) { expect(t, Examine(scene{tree: isolated("3")}.input(t)), id, "notice: ") })
	t.Run("placed there and silent", func(t *testing.T) { expect(t, Examine(scene{tree: isolated("3"), before: isolated("3")}.input(t)), id) })
	t.Run("managed", func(t *testing.T) {
		tree := isolated("2")
		fired := more(tree, "      91000          0  IR-PCI-MSIX", "      91100          0  IR-PCI-MSIX")
		expect(t, Examine(scene{tree: fired, before: tree}.input(t)), id, "warning: 1 interrupt fires on isolated CPUs, placed by the kernel").mentions(t, "managed_irq,domain,2", "pci:0000:01:00.0/msix/2")
	})
	t.Run("absent", func(t *testing.T) { expect(t, Examine(scene{tree: healthy, before: healthy}.input(t)), id) })
}

func TestOfflineCPUs(t *testing.T) {
	const id = "offline-cpus"
	tree := with("== sys/devices/system/cpu/online\n0-3", "== sys/devices/system/cpu/online\n0-1")
	t.Run("lost", func(t *testing.T) {
		expect(t, Examine(scene{tree: tree}.input(t)), id, "warning: 2 interrupts go only to CPUs that are offline").mentions(t, "irq:16", "ivt affinity", "cpu2/online")
	})
	t.Run("absent, and managed ones are shut down on purpose", func(t *testing.T) { expect(t, Examine(scene{tree: healthy}.input(t)), id) })
}

// server is a machine with two nodes and a network card of many queues on the first.
func server(rate, cpu func(queue int) int) string {
	var rows, files strings.Builder
	rows.WriteString("== proc/interrupts\n            CPU0       CPU1       CPU2       CPU3       CPU4       CPU5       CPU6       CPU7\n")
	irqs := ""
	for i := range 6 {
		n := 200 + i
		counts := make([]string, 8)
		for c := range counts {
			counts[c] = fmt.Sprintf("%10d", 0)
		}
		counts[cpu(i)] = fmt.Sprintf("%10d", rate(i))
		fmt.Fprintf(&rows, " %d: %s  IR-PCI-MSIX-0000:3b:00.0   %d-edge      eth2-TxRx-%d\n", n, strings.Join(counts, " "), i, i)
		fmt.Fprintf(&files, "== proc/irq/%d/smp_affinity_list (644)\n0-7\n== proc/irq/%d/effective_affinity_list\n%d\n", n, n, cpu(i))
		irqs += fmt.Sprintf(" %d:msix", n)
	}
	return rows.String() + files.String() + `== proc/sys/kernel/osrelease
6.18.0
== proc/sys/kernel/arch
x86_64
== proc/stat
btime 1795420200
== sys/devices/system/cpu/online
0-7
== sys/devices/system/node/node0/cpulist
0-3
== sys/devices/system/node/node1/cpulist
4-7
== sys/bus/pci/devices/0000:3b:00.0 class=0x020000 driver=ice irq=30 numa_node=0 msi_irqs=` + strings.TrimSpace(irqs) + "\n== sys/class/net/eth2 -> ../../devices/pci0000:3b/0000:3b:00.0/net/eth2\n"
}

func always(n int) func(int) int { return func(int) int { return n } }

func TestFarNodeAndOneCPU(t *testing.T) {
	idle, busy := always(0), always(3000)
	spread := func(q int) int { return q % 4 }
	far := func(q int) int { return 4 + q%4 }
	for name, test := range map[string]struct {
		cpu    func(int) int
		rate   func(int) int
		far    []string
		crowds []string
	}{
		"well spread":            {spread, busy, nil, nil},
		"on the other node":      {far, busy, []string{"notice: eth2 (0000:3b:00.0): 6 interrupts fire on another NUMA node"}, nil},
		"there but quiet":        {far, always(10), nil, nil},
		"all on one CPU":         {always(2), busy, nil, []string{"notice: eth2 (0000:3b:00.0): all 6 busy queues interrupt CPU 2"}},
		"all on one CPU, quiet":  {always(2), always(90), nil, nil},
		"on a far CPU, together": {always(7), busy, []string{"notice: "}, []string{"notice: "}},
	} {
		t.Run(name, func(t *testing.T) {
			r := Examine(scene{tree: server(test.rate, test.cpu), before: server(idle, test.cpu)}.input(t))
			expect(t, r, "numa-distance", test.far...)
			expect(t, r, "one-cpu", test.crowds...)
		})
	}
	t.Run("one CPU was all that was left for interrupts", func(t *testing.T) {
		isolate := "== sys/devices/system/cpu/isolated\n0-1,3-7\n"
		expect(t, Examine(scene{tree: server(busy, always(2)) + isolate, before: server(idle, always(2)) + isolate}.input(t)), "one-cpu")
	})
}

func TestVectorExhaustion(t *testing.T) {
	const id = "vector-exhaustion"
	vectors := func(available ...int) *vectormap.Map {
		m := &vectormap.Map{Method: vectormap.MethodKcore, Global: vectormap.Global{Online: len(available)}}
		for i, a := range available {
			m.CPUs = append(m.CPUs, vectormap.CPU{Number: i, Online: true, Available: a, Allocated: 200 - a, Managed: 4})
			m.Global.Available += a
			m.Global.Allocated += 200 - a
		}
		return m
	}
	for name, test := range map[string]struct {
		available []int
		reserved  int
		want      []string
	}{
		"plenty":            {[]int{150, 150, 150, 150}, 0, nil},
		"all are full":      {[]int{0, 0, 0, 0}, 0, []string{"serious: No CPU has a vector left"}},
		"one of eight":      {[]int{0, 90, 90, 90, 90, 90, 90, 90}, 0, []string{"notice: CPU 0: no vector is left there"}},
		"two of four":       {[]int{0, 0, 90, 90}, 0, []string{"warning: CPUs 0-1: no vector is left there"}},
		"nearly":            {[]int{5, 5, 5, 5}, 0, []string{"notice: Only 20 of 800 CPU vectors are free"}},
		"too many promises": {[]int{50, 50, 50, 50}, 300, []string{"warning: 300 interrupts are promised a vector and only 200 are free"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := scene{tree: healthy}.input(t)
			in.Map = vectors(test.available...)
			in.Map.Global.Reserved = test.reserved
			expect(t, Examine(in), id, test.want...)
		})
	}
	t.Run("inferred", func(t *testing.T) {
		in := scene{tree: healthy}.input(t)
		in.Map = &vectormap.Map{Method: vectormap.MethodInference, Global: vectormap.Global{Online: 2, Available: vectormap.Unknown, Reserved: vectormap.Unknown},
			CPUs: []vectormap.CPU{{Number: 0, Online: true, Available: vectormap.Unknown, Allocated: 199}, {Number: 1, Online: true, Available: vectormap.Unknown, Allocated: 20}}}
		expect(t, Examine(in), id, "notice: CPU 0: probably no vector is left there").mentions(t, "199 interrupts")
	})
	t.Run("in use is known, free is not", func(t *testing.T) {
		in := scene{tree: healthy}.input(t)
		in.Map = &vectormap.Map{Method: vectormap.MethodBPF, Global: vectormap.Global{Online: 1, Available: vectormap.Unknown, Reserved: vectormap.Unknown, Allocated: 19},
			CPUs: []vectormap.CPU{{Number: 0, Online: true, Available: vectormap.Unknown, Allocated: 19}}}
		expect(t, Examine(in), id)
		in.Map.CPUs[0].Allocated = 199
		expect(t, Examine(in), id, "notice: CPU 0: probably no vector is left there").mentions(t, "199 interrupts")
	})
	t.Run("other architectures have no such limit", func(t *testing.T) {
		in := scene{tree: strings.Replace(healthy, "x86_64", "aarch64", 1)}.input(t)
		in.Map = vectors(0, 0)
		expect(t, Examine(in), id)
	})
}

func TestShortfall(t *testing.T) {
	const id = "msix-shortfall"
	line := strings.NewReplacer("i801_smbus, ehci_hcd:usb1", "i801_smbus, nvme0q0, nvme0q1", " msi_irqs=124:msix 125:msix 126:msix", "").Replace(healthy)
	t.Run("a disk on a line", func(t *testing.T) {
		expect(t, Examine(scene{tree: line}.input(t)), id, "notice: 0000:01:00.0 uses a line, though its driver prefers messages").mentions(t, "irq:16")
	})
	t.Run("by the command line", func(t *testing.T) {
		expect(t, Examine(scene{tree: line + "== proc/cmdline\nquiet pci=nomsi,noaer\n"}.input(t)), id, "notice: ").mentions(t, "pci=nomsi,noaer", "command line")
	})
	t.Run("absent", func(t *testing.T) { expect(t, Examine(scene{tree: healthy}.input(t)), id) })
}

func TestRemappingOff(t *testing.T) {
	const id = "interrupt-remapping"
	given := func(tree string) string {
		return strings.Replace(tree, "driver=i801_smbus", "driver=vfio-pci iommu_group=12", 1)
	}
	plain := strings.ReplaceAll(healthy, "IR-", "   ")
	for name, test := range map[string]struct {
		tree string
		want []string
	}{
		"off, and a device is given away": {given(plain), []string{"warning: Devices are given away while interrupt remapping is off"}},
		"off, and none is: every guest":   {plain, nil},
		"on":                              {given(healthy), nil},
	} {
		t.Run(name, func(t *testing.T) { expect(t, Examine(scene{tree: test.tree}.input(t)), id, test.want...) })
	}
}

func TestDeviceHeld(t *testing.T) {
	const id = "device-held"
	vfio := strings.NewReplacer("i801_smbus, ehci_hcd:usb1", "vfio-intx(0000:00:1f.4)", "driver=i801_smbus", "driver=vfio-pci iommu_group=12").Replace(healthy)
	process := func(pid int, comm, unit string) string {
		return fmt.Sprintf("== proc/%d comm=%s start=%d uid=0 cgroup=/system.slice/%s fd=/dev/vfio/12 fd=anon_inode:[vfio-device]\n", pid, comm, pid, unit)
	}
	t.Run("by one", func(t *testing.T) {
		expect(t, Examine(scene{tree: vfio + process(4711, "qemu", "vm@1.service")}.input(t)), id, "info: pci:0000:00:1f.4 is held by pid 4711 (qemu, vm@1.service)").mentions(t, "systemctl stop vm@1.service")
	})
	t.Run("by two", func(t *testing.T) {
		expect(t, Examine(scene{tree: vfio + process(4711, "qemu", "vm@1.service") + process(4712, "spdk", "spdk.service")}.input(t)), id, "notice: pci:0000:00:1f.4 is held by 2 processes").mentions(t, "pid 4712")
	})
	t.Run("by ivtd", func(t *testing.T) {
		expect(t, Examine(scene{tree: vfio + process(4711, "ivtd", "ivtd.service")}.input(t)), id)
	})
	t.Run("by whom ivt calls its own", func(t *testing.T) {
		in := scene{tree: vfio + process(4711, "qemu", "vm@1.service")}.input(t)
		in.Ours = func(h host.Holder) bool { return h.PID == 4711 }
		expect(t, Examine(in), id)
	})
	t.Run("a UIO device by two", func(t *testing.T) {
		uio := strings.Replace(healthy, "i801_smbus, ehci_hcd:usb1", "fpga", 1) + "== sys/class/uio/uio0/name\nfpga\n" +
			"== proc/10 comm=a start=1 fd=/dev/uio0\n== proc/11 comm=b start=2 fd=/dev/uio0\n"
		expect(t, Examine(scene{tree: uio}.input(t)), id, "warning: ").mentions(t, "bus mastering")
	})
	t.Run("absent", func(t *testing.T) {
		expect(t, Examine(scene{tree: healthy + process(1, "init", "init.scope")}.input(t)), id)
	})
}
