package vectormap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

// tree is a saved machine.
type tree fstest.MapFS

func (t tree) FS() fs.FS  { return fstest.MapFS(t) }
func (t tree) Live() bool { return false }

func files(names ...string) tree {
	t := tree{}
	for i := 0; i < len(names); i += 2 {
		t[names[i]] = &fstest.MapFile{Data: []byte(names[i+1])}
	}
	return t
}

func (t tree) with(names ...string) tree {
	all := files(names...)
	for name, f := range t {
		if all[name] == nil {
			all[name] = f
		}
	}
	return all
}

const domainText = `name:   VECTOR
 size:   0
 mapped: 5
 flags:  0x00000303
            IRQ_DOMAIN_FLAG_HIERARCHY
Online bitmaps:        2
Global available:    395
Global reserved:       3
Total allocated:       5
System: 55: 0-31,50,128,235-255
 | CPU | avl | man | mac | act | vectors
     0   198     1     1     3  33-35
     1   197     2     0     2  33-34
`

func irqText(chips string, details string) string {
	return "handler:  handle_edge_irq\ndevice:   0000:00:02.0\nstatus:   0x00000000\nistate:   0x00004000\nddepth:   0\nwdepth:   0\n" +
		"dstate:   0x37408200\n            IRQD_ACTIVATED\nnode:     0\naffinity: 0-1\neffectiv: 1\npending:  \n" + chips + details
}

// debugTree is a machine whose kernel prints the map itself.
func debugTree() tree {
	const plain, remapped = "domain:  PCI-MSI-2\n hwirq:   0x0\n chip:    PCI-MSI\n parent:\n    domain:  VECTOR\n     hwirq:   0x18\n     chip:    APIC\n",
		"domain:  IR-PCI-MSI\n chip:    IR-PCI-MSI\n parent:\n  chip:    INTEL-IR\n parent:\n     domain:  VECTOR\n      chip:    APIC\n"
	flags := func(moving, managed, can, has int) string {
		return fmt.Sprintf("     move_in_progress: %d\n     is_managed:       %d\n     can_reserve:      %d\n     has_reserved:     %d\n     cleanup_pending:  0\n",
			moving, managed, can, has)
	}
	at := func(vector, cpu int) string { return fmt.Sprintf("     Vector: %5d\n     Target: %5d\n", vector, cpu) }
	return files("proc/sys/kernel/arch", "x86_64\n", debugDomain, domainText,
		debugIRQs+"/2", irqText("domain:  \n hwirq:   0x2\n chip:    XT-PIC\n", " Vector:    50\n Target: Legacy PIC all CPUs\n"),
		debugIRQs+"/4", irqText(plain, at(33, 0)+flags(0, 0, 1, 0)),
		debugIRQs+"/24", irqText(remapped, at(33, 1)+flags(0, 0, 1, 0)),
		debugIRQs+"/30", irqText(plain, at(34, 1)+"     Previous vector:    34\n     Previous target:     0\n"+flags(1, 0, 1, 0)),
		debugIRQs+"/40", irqText(plain, at(35, 0)+flags(0, 1, 0, 0)),
		debugIRQs+"/41", irqText(plain, "     Vector: Not assigned\n"),
		debugIRQs+"/42", irqText(plain, at(0, 0)+flags(0, 0, 1, 1)),
		debugIRQs+"/100", irqText("domain:  gpio\n chip:    gpio\n", ""),
		"sys/kernel/irq/4/actions", "ttyS0\n")
}

func TestDebugfs(t *testing.T) {
	got, err := Read(context.Background(), debugTree(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	system := []int{}
	for v := range 256 {
		if v < 32 || v == 50 || v == 128 || v >= 235 {
			system = append(system, v)
		}
	}
	want := &Map{
		Method: MethodDebugfs, Passes: 2,
		Global: Global{Online: 2, First: 32, End: 235, Available: 395, Allocated: 5, Reserved: 3, Managed: 3, System: system},
		CPUs: []CPU{
			{Number: 0, Online: true, Available: 198, Allocated: 3, Managed: 1, ManagedAllocated: 1, Slots: []Slot{
				{Vector: 33, State: StateLive, IRQ: 4}, {Vector: 34, State: StateCleanup, IRQ: 30}, {Vector: 35, State: StateLive, IRQ: 40, Managed: true}}},
			{Number: 1, Online: true, Available: 197, Allocated: 2, Managed: 2, Slots: []Slot{
				{Vector: 33, State: StateLive, IRQ: 24}, {Vector: 34, State: StateLive, IRQ: 30}}},
		},
		IRQs: []IRQ{
			{Number: 2, Chips: []string{"XT-PIC"}, CPU: Unknown, Vector: 50, Legacy: true},
			{Number: 4, Actions: "ttyS0", Chips: []string{"PCI-MSI", "APIC"}, CPU: 0, Vector: 33, CanReserve: true},
			{Number: 24, Chips: []string{"IR-PCI-MSI", "INTEL-IR", "APIC"}, CPU: 1, Vector: 33, CanReserve: true},
			{Number: 30, Chips: []string{"PCI-MSI", "APIC"}, CPU: 1, Vector: 34, PreviousCPU: 0, PreviousVector: 34, Moving: true, CanReserve: true},
			{Number: 40, Chips: []string{"PCI-MSI", "APIC"}, CPU: 0, Vector: 35, Managed: true},
			{Number: 41, Chips: []string{"PCI-MSI", "APIC"}, CPU: Unknown},
			{Number: 42, Chips: []string{"PCI-MSI", "APIC"}, CPU: Unknown, CanReserve: true, Reserved: true},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Files of different moments, and files that are cut or no such files, give no map.
func TestDebugfsRefuses(t *testing.T) {
	for _, c := range []struct {
		name     string
		t        tree
		unstable bool
	}{
		{"an irq in a vector that is not allocated", debugTree().with(debugIRQs+"/43", irqText("chip: APIC\n", "Vector: 77\nTarget: 0\n")), true},
		{"an irq on a CPU that is not there", debugTree().with(debugIRQs+"/43", irqText("chip: APIC\n", "Vector: 33\nTarget: 7\n")), true},
		{"two irqs in one vector", debugTree().with(debugIRQs+"/43", irqText("chip: APIC\n", "Vector: 33\nTarget: 0\n")), true},
		{"a vector without irq", debugTree().with(debugIRQs+"/4", irqText("chip: gpio\n", "")), true},
		{"a cut table", debugTree().with(debugDomain, domainText[:len(domainText)-20]), false},
		{"no table", debugTree().with(debugDomain, "name:   VECTOR\n"), false},
		{"words for numbers", debugTree().with(debugDomain, "Online bitmaps: many\n"), false},
		{"a line that is no CPU's", debugTree().with(debugDomain, domainText+"what is this\n"), false},
		{"huge ranges", debugTree().with(debugDomain, "System: 1: 0-99999999999\n"), false},
	} {
		m, err := Read(context.Background(), c.t, Options{Methods: []Method{MethodDebugfs}, Passes: 3})
		if err == nil {
			t.Errorf("%s: got %+v, want an error", c.name, m)
		}
		if _, err := readDebugfs(context.Background(), c.t.FS(), 3); errors.Is(err, errUnstable) != c.unstable {
			t.Errorf("%s: %v, unstable %v", c.name, err, c.unstable)
		}
	}
}

// Without any way to the kernel's own numbers, effective affinities are counted, and the map says how little that is.
func TestInference(t *testing.T) {
	saved := files("sys/devices/system/cpu/online", "0-1\n", "sys/devices/system/cpu/possible", "0-3\n",
		"proc/interrupts", "TLB:  1  2   TLB shootdowns\n",
		"proc/irq/4/effective_affinity_list", "0\n", "sys/kernel/irq/4/chip_name", "IO-APIC\n", "sys/kernel/irq/4/actions", "ttyS0\n",
		"proc/irq/24/effective_affinity_list", "1\n", "sys/kernel/irq/24/chip_name", "IR-PCI-MSIX-0000:3d:00.0\n",
		"proc/irq/25/effective_affinity_list", "\n", "sys/kernel/irq/25/chip_name", "PCI-MSI\n",
		"proc/irq/26/effective_affinity_list", "1\n", "sys/kernel/irq/26/chip_name", "gpio-sim\n",
		"proc/irq/27/smp_affinity_list", "0\n", "proc/irq/default_smp_affinity", "3\n")
	m, err := Read(context.Background(), saved, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Method != MethodInference || m.Exact() || m.Full() != nil {
		t.Errorf("method %s, exact %v, full %v", m.Method, m.Exact(), m.Full())
	}
	want := []CPU{{Number: 0, Online: true, Available: Unknown, Allocated: 1, Managed: Unknown, ManagedAllocated: Unknown},
		{Number: 1, Online: true, Available: Unknown, Allocated: 1, Managed: Unknown, ManagedAllocated: Unknown}}
	if diff := cmp.Diff(want, m.CPUs); diff != "" {
		t.Errorf("CPUs (-want +got):\n%s", diff)
	}
	wantIRQs := []IRQ{{Number: 4, Actions: "ttyS0", Chips: []string{"IO-APIC"}, CPU: 0},
		{Number: 24, Chips: []string{"IR-PCI-MSIX-0000:3d:00.0"}, CPU: 1}, {Number: 25, Chips: []string{"PCI-MSI"}, CPU: Unknown}}
	if diff := cmp.Diff(wantIRQs, m.IRQs); diff != "" {
		t.Errorf("irqs (-want +got):\n%s", diff)
	}
	var blind []Method
	for _, b := range m.Blind {
		blind = append(blind, b.Method)
		if b.Why == "" {
			t.Errorf("%s: no reason", b.Method)
		}
	}
	if diff := cmp.Diff([]Method{MethodDebugfs, MethodKcore, MethodBPF, MethodInference, MethodInference}, blind); diff != "" {
		t.Errorf("blind (-want +got):\n%s", diff)
	}
}

// A map that was saved with the machine is shown as it was; one that cannot be is refused.
func TestSavedMap(t *testing.T) {
	want := wantMachine()
	want.Method = MethodKcore
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(context.Background(), files(SavedName, string(text)), Options{Arch: "x86_64"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Blind) != 1 || got.Blind[0].Method != MethodDebugfs {
		t.Errorf("blind: %v", got.Blind)
	}
	got.Blind = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "{", `{"method":"kcore","cpus":[{"cpu":5},{"cpu":4}]}`, `{"method":"kcore","cpus":[{"cpu":99999999}]}`,
		`{"method":"kcore","cpus":[{"cpu":0,"allocated":-7}]}`, `{"method":"kcore","cpus":[{"cpu":0,"managedAllocated":3}]}`,
		`{"method":"kcore","cpus":[{"cpu":0,"slots":[{"vector":-1}]}]}`, `{"method":"inference"}`} {
		if m, err := Read(context.Background(), files(SavedName, bad), Options{Arch: "x86_64"}); err == nil {
			t.Errorf("%s: %+v", bad, m)
		}
	}
}

// A saved machine tells why a method failed when it was saved, and saved again it brings the same map.
func TestSavedReasons(t *testing.T) {
	then := wantMachine()
	then.Method = MethodBPF
	then.Blind = []Blind{{MethodDebugfs, "the map", "debugfs is for root", "run it as root"}, {MethodKcore, "the map", "it is hidden here", ""},
		{MethodBPF, "how many vectors are free, managed or promised", "no variables", "another kernel"}}
	text, err := json.Marshal(then)
	if err != nil {
		t.Fatal(err)
	}
	machine := files(SavedName, string(text), "proc/sys/kernel/arch", "x86_64\n")
	again, got, err := Save(context.Background(), machine)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(text) {
		t.Errorf("saved again: %s\nwant %s", again, text)
	}
	want := wantMachine()
	want.Method = MethodBPF
	want.Blind = []Blind{{MethodDebugfs, "the map", "when it was saved: debugfs is for root", "run it as root, there, and save it again"},
		{MethodKcore, "the map", "when it was saved: it is hidden here", ""}, then.Blind[2]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text, m, err := Save(context.Background(), debugTree()); text != nil || m == nil || m.Method != MethodDebugfs || err != nil {
		t.Errorf("a tree that brings none: %q, %+v, %v", text, m, err)
	}
}

// On another architecture the answer is that there is no such thing.
func TestOtherArchitectures(t *testing.T) {
	for _, c := range []struct {
		name string
		t    tree
		arch string
	}{
		{"as told", debugTree(), "aarch64"},
		{"arm64 by its rows", files("proc/interrupts", " 11:  9  GICv3  27 Level  arch_timer\n"), ""},
		{"riscv", files("proc/sys/kernel/arch", "riscv64\n"), ""},
		{"no machine", files(), ""},
	} {
		if m, err := Read(context.Background(), c.t, Options{Arch: c.arch}); !errors.Is(err, irq.ErrNotSupported) {
			t.Errorf("%s: got %+v, %v", c.name, m, err)
		}
	}
}

// A directory without any of the files is refused with every method's reason.
func TestNothingToRead(t *testing.T) {
	_, err := Read(context.Background(), files(), Options{Arch: "x86_64"})
	if !errors.Is(err, irq.ErrNoSuchDevice) {
		t.Errorf("got %v, want %v", err, irq.ErrNoSuchDevice)
	}
	if _, err := Read(context.Background(), files(), Options{Arch: "x86_64", Methods: []Method{"guess"}}); err == nil {
		t.Error("an unknown method: no error")
	}
}

// Why a method failed is told with what would help.
func TestReasons(t *testing.T) {
	const noCaps, allCaps = "Name:\tivt\nCapEff:\t0000000000000000\nSeccomp:\t0\n", "CapEff:\t000001ffffffffff\n"
	for _, c := range []struct {
		name   string
		method Method
		err    error
		t      tree
		why    string
		cure   string
	}{
		{"debugfs not root", MethodDebugfs, fs.ErrPermission, nil, "debugfs is for root", "run it as root"},
		{"kcore without capability", MethodKcore, syscall.EPERM, files("proc/self/status", noCaps), "no CAP_SYS_RAWIO, or not root", "run it as root, outside of containers"},
		{"kcore not built", MethodKcore, fs.ErrNotExist, files(), "/proc/kcore does not exist: the kernel was built without CONFIG_PROC_KCORE, or it is hidden here", ""},
		{"lockdown", MethodKcore, syscall.EPERM, files("sys/kernel/security/lockdown", "none integrity [confidentiality]\n", "proc/self/status", allCaps),
			"kernel lockdown is in confidentiality mode, which closes the kernel's memory", "lockdown=integrity on the kernel command line"},
		{"lockdown that cannot be asked", MethodKcore, syscall.EPERM, files("proc/self/status", allCaps),
			"refused with all rights: kernel lockdown in confidentiality mode, as it seems",
			"lockdown=integrity on the kernel command line; mount securityfs on /sys/kernel/security to be sure"},
		{"BPF under lockdown", MethodBPF, errors.New("load program: invalid argument: unknown func bpf_probe_read#4"), files("proc/self/status", allCaps),
			"refused with all rights: kernel lockdown in confidentiality mode, as it seems",
			"lockdown=integrity on the kernel command line; mount securityfs on /sys/kernel/security to be sure"},
		{"BPF without capability", MethodBPF, syscall.EPERM, files("proc/self/status", noCaps), "no CAP_BPF and CAP_PERFMON", "run it as root"},
		{"kptr_restrict", MethodKcore, errSymbolsHidden, files("proc/sys/kernel/kptr_restrict", "2\n", "proc/self/status", allCaps),
			"/proc/kallsyms shows no addresses (kptr_restrict = 2)", "sysctl kernel.kptr_restrict=1"},
		{"no CAP_SYSLOG", MethodBPF, errSymbolsHidden, files("proc/self/status", noCaps), "/proc/kallsyms shows no addresses (no CAP_SYSLOG)", "run it as root"},
		{"no variables", MethodBPF, errSymbolsMissing, files(), errSymbolsMissing.Error(), "a kernel with CONFIG_KALLSYMS_ALL"},
		{"unstable", MethodKcore, errUnstable, files(), errUnstable.Error(), "try again"},
		{"saved", MethodKcore, errSaved, files(), errSaved.Error(), "read the map on the machine itself"},
	} {
		want := Blind{Method: c.method, What: "the map", Why: c.why, Cure: c.cure}
		if diff := cmp.Diff(want, explain(c.method, c.err, c.t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// FuzzDebugfs: arbitrary bytes never panic.
func FuzzDebugfs(f *testing.F) {
	f.Add(domainText, irqText("chip: APIC\n", "Vector: 33\nTarget: 0\n"))
	f.Fuzz(func(t *testing.T, domain, one string) {
		saved := files(debugDomain, domain, debugIRQs+"/4", one)
		_, _ = readDebugfs(context.Background(), saved.FS(), 2)
	})
}

// FuzzSaved: whatever a saved map says, showing it ends and never panics.
func FuzzSaved(f *testing.F) {
	text, _ := json.Marshal(large(MethodKcore))
	f.Add(string(text))
	text, _ = json.Marshal(small())
	f.Add(string(text))
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Read(context.Background(), files(SavedName, text), Options{Arch: "x86_64"})
		if err != nil {
			return
		}
		for _, width := range []int{1, 40, 80} {
			if err := m.Write(term.Output{Writer: io.Discard, Width: width, Terminal: true}, Style{}); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzMemory: a kernel whose memory is damaged at one place never panics.
func FuzzMemory(f *testing.F) {
	spec := fakeTypes(f, shapes(true), nil, "")
	base := machine(f, newFakeKernel(f, spec, 2))
	f.Add(uint32(base.matrix-fakeStart), []byte{1, 2, 3, 4})
	f.Add(uint32(base.apics[4]-fakeStart), []byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, at uint32, damage []byte) {
		k := machine(t, newFakeKernel(t, spec, 2))
		copy(k.bytes[int(at)%len(k.bytes):], damage)
		var cpus []int
		for i := range k.cpus {
			cpus = append(cpus, i)
		}
		if kernel, err := newKernel(k, k.layout, &k.symbols, cpus); err == nil {
			_, _ = kernel.snapshot(context.Background(), 2)
		}
	})
}
