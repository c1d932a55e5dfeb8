package host

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestCPUSet(t *testing.T) {
	for _, c := range []struct {
		list, want string
		ok         bool
	}{
		{"", "", true}, {"0", "0", true}, {"0-3,8", "0-3,8", true}, {" 7,5,6\n", "5-7", true}, {"0-9:2/4", "0-1,4-5,8-9", true},
		{"1151", "1151", true}, {"63-64", "63-64", true},
		{"x", "", false}, {"3-1", "", false}, {"-1", "", false}, {"1-", "", false}, {"0-99999999", "", false}, {"1,,2", "", false}, {"0-9:0/4", "", false}, {"0-9:5/4", "", false},
	} {
		set, ok := ParseCPUList(c.list)
		if set.String() != c.want || ok != c.ok || ok && !set.Known() {
			t.Errorf("%q: %q %v", c.list, set, ok)
		}
	}
	for mask, want := range map[string]string{"0": "", "3": "0-1", "ff,00000001": "0,32-39", "00000000,00000002": "1", "80000000,00000000,00000000": "95"} {
		if set, ok := ParseCPUMask(mask); !ok || set.String() != want {
			t.Errorf("mask %q: %q %v", mask, set, ok)
		}
	}
	for _, mask := range []string{"", "x", "1ffffffff", "1,,2"} {
		if set, ok := ParseCPUMask(mask); ok {
			t.Errorf("mask %q: %q", mask, set)
		}
	}
	a, b := NewCPUSet(1, 70), NewCPUSet(70, 1, -5, 1<<20)
	if !a.Equal(b) || a.Len() != 2 || a.And(NewCPUSet(1)).String() != "1" || a.Equal(nil) || !CPUSet(nil).Equal(nil) || !(CPUSet{}).Equal(CPUSet{0}) {
		t.Error("sets", a, b)
	}
	var all []int
	for cpu := range a.All {
		all = append(all, cpu)
	}
	if !cmp.Equal(all, []int{1, 70}) {
		t.Error(all)
	}
}

// The tree of a saved machine keeps the contract of io/fs.
func TestSavedTree(t *testing.T) {
	tree := newSavedTree()
	for name, n := range map[string]*savedNode{
		"a/b/file": {mode: 0o444, data: []byte("hello")}, "a/link": {mode: fs.ModeSymlink | 0o777, link: "b/file"},
		"a/up": {mode: fs.ModeSymlink | 0o777, link: "../a/b"}, "empty": {mode: fs.ModeDir | 0o755},
	} {
		if err := tree.add(name, n); err != nil {
			t.Fatal(err)
		}
	}
	tree.sort()
	if err := fstest.TestFS(tree, "a/b/file", "a/link", "empty"); err != nil {
		t.Error(err)
	}
	if b, err := fs.ReadFile(tree, "a/up/file"); err != nil || string(b) != "hello" {
		t.Error(string(b), err)
	}
}

func TestParseStat(t *testing.T) {
	tail := " S 2 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 50 1 0 0\n"
	for text, want := range map[string]procStat{
		"12 (irq/36-nvme)" + tail:    {"irq/36-nvme", 2, 777, 50, "fifo", "1"},
		"12 (a) b (c) 1 2 3)" + tail: {"a) b (c) 1 2 3", 2, 777, 50, "fifo", "1"},
		"12 ()" + tail:               {"", 2, 777, 50, "fifo", "1"},
	} {
		got, ok := parseStat(text)
		if !ok || got != want {
			t.Errorf("%q: %+v %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "12", ")(", "12 (x)", "12 (x) S 1"} {
		if got, ok := parseStat(text); ok {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestQueueOf(t *testing.T) {
	for name, want := range map[string]string{
		"eth0-TxRx-3": " 3", "eth0-rx-3": "rx 3", "eth0-Tx-0": "tx 0", "virtio2-input.0": "rx 0", "virtio2-output.1": "tx 1",
		"mlx5_comp3@pci:0000:c1:00.0": " 3", "nvme0q12": " 12", "ena0-Tx-Rx-2": " 2", "i40e-enp195s0f3-TxRx-67": " 67", "rx-3": "rx 3", "3": " 3",
		"eth0-3": " 3", "ahci[0000:00:1f.2]": "", "acpi": "", "": "",
	} {
		direction, n, ok := queueOf(name)
		got := ""
		if ok {
			got = strings.TrimSpace(direction) + " " + itoa(n)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func itoa(n int) string { return NewCPUSet(n).String() }

func TestParseDebugGPIO(t *testing.T) {
	got := parseDebugGPIO("gpiochip1: GPIOs 832-833, parent: i2c/1-0020, pca9534, can sleep:\n" +
		" gpio-832 (RESET               |wdt (a) b           ) out lo \n gpio-833 (NAME                )\n" +
		" gpio-832 (of a chip's own) input,lo\n gpio-833 (own) in\n gpio-x (y)\ngpiochip2: (dangling chip)\n gpio-1\n")
	want := []GPIOLine{{Chip: "gpiochip1", Offset: 0, Name: "RESET", Used: true, Consumer: "wdt (a) b"}, {Chip: "gpiochip1", Offset: 1, Name: "NAME"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestNameDevices(t *testing.T) {
	devices := []*Device{{Vendor: "8086", Product: "10d3"}, {Vendor: "8086", Product: "ffff"}, {Vendor: "dead"}, {}}
	nameDevices(strings.NewReader("# list\n8086  Intel Corporation\n\t10d3  82574L\n\t\t8086 10d3  subsystem\n\t10d4  other\nC 01  Storage\ndead  not a vendor\n"), devices)
	var names []string
	for _, d := range devices {
		names = append(names, d.Name)
	}
	if d := cmp.Diff([]string{"Intel Corporation 82574L", "Intel Corporation", "", ""}, names); d != "" {
		t.Error(d)
	}
}

func TestRelevantParameters(t *testing.T) {
	got := strings.Join(relevant("root=/dev/x irqpoll threadirqs pci=nomsi,noaer pcix=1 password=y acpi_irq_nobalance vfio_pci.disable_idle_d3=1 pci"), " ")
	if got != "irqpoll threadirqs pci=nomsi,noaer acpi_irq_nobalance vfio_pci.disable_idle_d3=1 pci" {
		t.Error(got)
	}
}

func FuzzOpenReader(f *testing.F) {
	f.Add([]byte("CPU0\n 1: 2 IO-APIC 1-edge x, y\n"))
	f.Add([]byte("BZh91AY"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := OpenReader("fuzz", strings.NewReader(string(b)))
		if err != nil {
			return
		}
		m, err := r.Read(t.Context(), Options{Parts: PartAll})
		if err != nil {
			return
		}
		for i := range m.IRQs {
			if q := m.IRQ(m.IRQs[i].Number); q == nil {
				t.Fatal("an irq that is not found by its number")
			}
			_ = m.IRQs[i].Name()
		}
		Diff(m, m)
		if len(m.IRQs) > 0 && len(m.IRQs[0].Handlers) > 0 {
			if _, err := r.Who(t.Context(), m.IRQs[0].Handlers[0].Name); err != nil {
				_ = err.Error()
			}
		}
	})
}

// FuzzFiles gives arbitrary text to every small file that is parsed.
func FuzzFiles(f *testing.F) {
	f.Add("handler: x\nddepth: 1\nVector: 33\n", " gpio-1 (a|b) in")
	f.Add("count 1\nunhandled x\n", "gpiochip0: GPIOs 5-7:\n gpio-5 (")
	f.Fuzz(func(t *testing.T, a, b string) {
		parseDebug(a)
		parseDebugGPIO(b)
		parseStat(a)
		UnitOf(b)
		cgroupPath(a)
		relevant(b)
		queueOf(a)
		ParseCPUMask(b)
		if set, ok := ParseCPUList(a); ok {
			again, ok := ParseCPUList(set.String())
			if !ok || !again.Equal(set) {
				t.Fatalf("%q: %v, then %v", a, set, again)
			}
		}
		nameDevices(strings.NewReader(a), []*Device{{Vendor: b}})
	})
}
