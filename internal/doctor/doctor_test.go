package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/hosttest"
	"github.com/ivtd/ivt/internal/host/vectormap"
	"github.com/ivtd/ivt/internal/term"
)

// now is when the machines of the tests were looked at, booted ten minutes before.
var now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// A scene is what the doctor looks at in a test: machines as hosttest writes them, and a log.
type scene struct {
	tree   string
	before string // one second earlier; "" if there is one picture only
	log    string // "" if there is none
	uptime time.Duration
}

func (s scene) input(t *testing.T) Input {
	t.Helper()
	in := Input{Name: "the test machine"}
	in.Machine, in.Map = picture(t, s.tree)
	in.Machine.Taken = now
	in.Machine.Booted = now.Add(-10 * time.Minute)
	if s.uptime != 0 {
		in.Machine.Booted = now.Add(-s.uptime)
	}
	if s.before != "" {
		in.Before, _ = picture(t, s.before)
		in.Before.Taken = now.Add(-time.Second)
	}
	if s.log != "" {
		l, err := explain.Collect(strings.NewReader(s.log))
		if err != nil {
			t.Fatal(err)
		}
		in.Log, in.LogName = l, "test.log"
	}
	return in
}

func picture(t *testing.T, text string) (*host.Machine, *vectormap.Map) {
	t.Helper()
	root := hosttest.OpenText(t, text)
	t.Cleanup(func() { root.Close() })
	m, err := root.Read(context.Background(), host.Options{Parts: Parts})
	if err != nil {
		t.Fatal(err)
	}
	vectors, err := vectormap.Read(context.Background(), root, vectormap.Options{})
	if err != nil {
		vectors = nil
	}
	return m, vectors
}

// found returns the findings with an id as "severity: title".
func found(r *Report, id string) (all []string) {
	for _, f := range r.Findings {
		if f.ID == id {
			all = append(all, f.Severity.String()+": "+f.Title)
		}
	}
	return all
}

// expect checks that the report has exactly the findings of an id, each given by its beginning, and gives the first of them.
func expect(t *testing.T, r *Report, id string, want ...string) *Finding {
	t.Helper()
	got := found(r, id)
	ok := len(got) == len(want)
	for i := range want {
		ok = ok && strings.HasPrefix(got[i], want[i])
	}
	if !ok {
		t.Errorf("%s: %q, want %q", id, got, want)
	}
	for _, f := range r.Findings {
		if f.ID == id {
			return f
		}
	}
	return &Finding{}
}

// nothing checks that the report has no finding above Info.
func nothing(t *testing.T, r *Report) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Severity > Info {
			t.Errorf("false alarm: %s: %s: %s: %v", f.Severity, f.ID, f.Title, f.Evidence)
		}
	}
}

func (f *Finding) mentions(t *testing.T, words ...string) {
	t.Helper()
	text := fmt.Sprint(f.Title, f.Meaning, f.Evidence, f.Remedies, f.Vectors)
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s: %q is not in %s", f.ID, w, text)
		}
	}
}

// healthy is an ordinary machine: a notebook with a shared line, a disk and a network card.
const healthy = `== proc/interrupts
            CPU0       CPU1       CPU2       CPU3
   0:          8          0          0          0  IR-IO-APIC   2-edge      timer
   9:          0         12          0          0  IR-IO-APIC   9-fasteoi   acpi
  16:          0          0       3000          0  IR-IO-APIC  16-fasteoi   i801_smbus, ehci_hcd:usb1
 124:         11          0          0          0  IR-PCI-MSIX-0000:01:00.0   0-edge      nvme0q0
 125:          0      90000          0          0  IR-PCI-MSIX-0000:01:00.0   1-edge      nvme0q1
 126:          0          0      91000          0  IR-PCI-MSIX-0000:01:00.0   2-edge      nvme0q2
 127:          0          0          0       9000  IR-PCI-MSI-0000:00:1f.6   0-edge      eth0
 NMI:          0          0          0          0   Non-maskable interrupts
 ERR:          0
== proc/sys/kernel/osrelease
6.18.0
== proc/sys/kernel/arch
x86_64
== proc/stat
btime 1795420200
== sys/devices/system/cpu/online
0-3
== sys/devices/system/cpu/isolated

== sys/devices/system/node/node0/cpulist
0-3
== sys/firmware/acpi/interrupts/gpe6F
     120  EN     enabled      unmasked
== sys/firmware/acpi/interrupts/gpe_all
     120
== sys/bus/pci/devices/0000:01:00.0 class=0x010802 driver=nvme irq=16 numa_node=0 msi_irqs=124:msix 125:msix 126:msix
== sys/bus/pci/devices/0000:00:1f.6 class=0x020000 driver=e1000e irq=20 numa_node=-1 msi_irqs=127:msi
== sys/bus/pci/devices/0000:00:1f.4 class=0x0c0500 driver=i801_smbus irq=16 numa_node=-1
== sys/bus/pci/devices/0000:00:1a.0 class=0x0c0320 driver=ehci_hcd irq=16 numa_node=-1
== proc/irq/16/smp_affinity_list (644)
0-3
== proc/irq/16/effective_affinity_list
2
== proc/irq/16/spurious
count 3000
unhandled 3
last_unhandled 280000 ms
== proc/irq/125/smp_affinity_list (444)
0-1
== proc/irq/125/effective_affinity_list
1
== proc/irq/125/spurious
count 0
unhandled 0
last_unhandled 0 ms
== proc/irq/126/smp_affinity_list (444)
2-3
== proc/irq/126/effective_affinity_list
2
== proc/irq/127/smp_affinity_list (644)
3
== proc/irq/127/effective_affinity_list
3
`

// healthyLog has what the logs of healthy machines have.
const healthyLog = `[    0.000000] Linux version 6.18.0 (x) #1 SMP
[    0.006140] __common_interrupt: 1.55 No irq handler for vector
[    0.006140] __common_interrupt: 2.55 No irq handler for vector
[    0.500000] ACPI: PCI: Interrupt link LNKA configured for IRQ 10
[    0.600000] pci 0000:00:1f.4: can't derive routing for PCI INT B
[    0.700000] nvme 0000:01:00.0: PCI INT A: no GSI
[    1.000000] hrtimer: interrupt took 6180040 ns
[    2.000000] usb 1-1: new high-speed USB device number 2 using xhci_hcd
`

func TestNothingIsWrongOnAHealthyMachine(t *testing.T) {
	for name, s := range map[string]scene{
		"with log":         {tree: healthy, log: healthyLog},
		"with two glances": {tree: healthy, before: healthy, log: healthyLog},
		"without log":      {tree: healthy},
	} {
		t.Run(name, func(t *testing.T) {
			r := Examine(s.input(t))
			nothing(t, r)
			if len(r.Looked) == 0 {
				t.Error("it does not say what it looked at")
			}
			if s.log == "" && len(r.Unseen) == 0 {
				t.Error("it does not say that it saw no log")
			}
		})
	}
}

// Real machines that were healthy, the first with its files, the others as bare copies of /proc/interrupts.
func TestNothingIsWrongOnCapturedMachines(t *testing.T) {
	captures := filepath.Join("..", "..", "..", "shared", "captures")
	rows, err := os.ReadFile(filepath.Join(captures, "live-2cpu-6.18", "interrupts"))
	if err != nil {
		t.Skipf("no captured machines here (%v); a small one of this test is looked at all the same", err)
	}
	tree, err := os.ReadFile(filepath.Join(captures, "live-2cpu-6.18", "tree.txt"))
	if err != nil {
		t.Fatal(err)
	}
	nothing(t, Examine(scene{tree: "== proc/interrupts\n" + string(rows) + string(tree), uptime: time.Hour}.input(t)))
	files, err := filepath.Glob(filepath.Join(captures, "*", "interrupts*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		root, err := host.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(context.Background(), root, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(file), func(t *testing.T) { nothing(t, r) })
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The running machine: whatever it has, it is looked at without error, and what is found has evidence.
func TestDoctorLooksAtThisMachine(t *testing.T) {
	root, err := host.Open("")
	if err != nil {
		t.Skip(err)
	}
	defer root.Close()
	r, err := Run(context.Background(), root, Options{Sample: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Logf("%s: %s: %s", f.Severity, f.ID, f.Title)
		if len(f.Evidence) == 0 || f.Meaning == "" {
			t.Errorf("%s has no evidence or meaning", f.ID)
		}
	}
	if len(r.Looked)+len(r.Unseen) < len(checks) {
		t.Errorf("%d checks, of which %d looked and %d could not", len(checks), len(r.Looked), len(r.Unseen))
	}
}

// Whatever a log says, the doctor answers, and shows it harmlessly.
func FuzzExamine(f *testing.F) {
	for _, m := range explain.Messages() {
		f.Add(m.Sample + "\n")
	}
	f.Add(nobodyCared + healthyLog)
	root, err := host.OpenReader("the fuzzed machine", strings.NewReader(string(hosttest.Tar(healthy))))
	if err != nil {
		f.Fatal(err)
	}
	m, err := root.Read(context.Background(), host.Options{Parts: Parts})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, log string) {
		l, err := explain.Collect(strings.NewReader(log))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		r := Examine(Input{Machine: m, Log: l, LogName: "a log"})
		if err := r.WriteText(term.Output{Writer: &b, Width: 80}); err != nil {
			t.Fatal(err)
		}
		for _, c := range b.String() {
			if c < ' ' && c != '\n' || c == 0x7f {
				t.Fatalf("control character %q in the output", c)
			}
		}
		for _, finding := range r.Findings {
			if len(finding.Evidence) == 0 || finding.Title == "" || finding.Meaning == "" {
				t.Fatalf("%+v", finding)
			}
		}
	})
}
