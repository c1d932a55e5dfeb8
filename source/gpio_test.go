//go:build linux

package source

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

func TestConsumerSaysIvtAndTheHolder(t *testing.T) {
	for _, test := range []struct {
		holder irq.Holder
		want   string
	}{
		{irq.Holder{PID: 4711, Label: "door"}, "ivtd:door@4711"},
		{irq.Holder{PID: 4711, Command: "buttond"}, "ivtd:buttond@4711"},
		{irq.Holder{PID: 4194304, Label: strings.Repeat("long", 20)}, "ivtd:longlonglonglonglo@4194304"},
		{irq.Holder{PID: 1, Label: "\x1b[2J@root\n"}, "ivtd:-[2J-root-@1"},
		{irq.Holder{PID: 1, Label: "тест"}, "ivtd:----@1"},
		{irq.Holder{}, "ivtd:@0"},
	} {
		if got := consumer(test.holder); got != test.want || len(got) > 31 || !utf8.ValidString(got) {
			t.Errorf("%+v: %q, want %q", test.holder, got, test.want)
		}
	}
}

// Edges are numbered from 1, and the number wraps: a gap is what the kernel dropped.
func TestMissedEdges(t *testing.T) {
	for _, test := range []struct {
		last   uint64
		number uint32
		want   uint64
	}{{0, 1, 0}, {0, 5, 4}, {7, 8, 0}, {7, 100, 92}, {math.MaxUint32, 0, 0}, {math.MaxUint32 - 1, 2, 3}} {
		l := &gpioLine{last: new(atomic.Uint64)}
		l.last.Store(test.last)
		if got := l.missed(test.number); got != test.want {
			t.Errorf("after %d comes %d: %d missed, want %d", test.last, test.number, got, test.want)
		}
	}
}

// The total of UIO is a number of 32 bits that wraps; what moved is its difference.
func TestUIOTotalWraps(t *testing.T) {
	for _, test := range []struct {
		before uint64
		now    uint32
		want   uint32
	}{{0, 1, 1}, {math.MaxUint32, 4, 5}, {100, 100, 0}} {
		r, w := pipe(t)
		u := &uio{fd: r, key: 1, total: new(atomic.Uint64)}
		u.total.Store(test.before)
		if _, err := kernel.Write(w, binary.NativeEndian.AppendUint32(nil, test.now)); err != nil {
			t.Fatal(err)
		}
		if got, err := u.moved(); got != test.want || err != nil || u.total.Load() != uint64(test.now) {
			t.Errorf("from %d to %d: %d, %v", test.before, test.now, got, err)
		}
	}
}

func TestGPIOSettings(t *testing.T) {
	got, err := readGPIOSettings(Config{Settings: map[string]any{"edges": "rising", "bias": "pull-up", "active_low": true, "debounce": "5ms", "ring": 64, "shareable": false}})
	want := gpioSettings{flags: kernel.GPIOInput | kernel.GPIORising | kernel.GPIOPullUp | kernel.GPIOActiveLow, debounce: 5e6, ring: 64}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(gpioSettings{})); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	for key, value := range map[string]any{"edges": "up", "bias": "none", "debounce": "1h", "ring": 2048, "budget": 1} {
		if _, err := readGPIOSettings(Config{Settings: map[string]any{key: value}}); !contains(err, `"`+key+`"`) {
			t.Errorf("%s = %v: %v", key, value, err)
		}
	}
}

// The kernel answers EBUSY to all; what it shows of the line tells them apart. What it shows is in source/pins.
func TestBusyLinesAreToldApart(t *testing.T) {
	g := &gpio{config: Config{Name: "gpio:gpiochip0", Root: "/", Foreign: func(string) []irq.Holder {
		return []irq.Holder{{Kind: irq.HolderProcess, PID: 4711}, {Kind: irq.HolderKernel}}
	}}}
	for _, test := range []struct {
		name   string
		use    lineUse
		reason irq.Reason
		kinds  []irq.HolderKind
		says   string
	}{
		{"a process", lineUse{GPIOLine: kernel.GPIOLine{Consumer: "gpiomon", Flags: kernel.GPIOUsed}}, irq.ReasonForeignHolds, []irq.HolderKind{irq.HolderUnknown, irq.HolderProcess}, `requested by "gpiomon"`},
		{"an irqchip", lineUse{interrupt: true}, irq.ReasonKernelHolds, []irq.HolderKind{irq.HolderKernel}, "irqchip"},
		{"the pin controller", lineUse{}, irq.ReasonKernelHolds, []irq.HolderKind{irq.HolderKernel}, "the pin controller"},
		{"one of both", lineUse{GPIOLine: kernel.GPIOLine{Flags: kernel.GPIOUsed}}, irq.ReasonKernelHolds, []irq.HolderKind{irq.HolderKernel}, "the pin controller keeps the pin for another function, or an irqchip"},
		{"nobody knows", lineUse{err: syscall.EIO}, irq.ReasonForeignHolds, []irq.HolderKind{irq.HolderUnknown, irq.HolderProcess}, "in use"},
	} {
		e := &irq.Error{Vector: irq.Vector{Source: "gpio:gpiochip0", Index: 3}}
		g.busy(e, test.use)
		var kinds []irq.HolderKind
		for _, h := range e.Conflicts[0].Holders {
			kinds = append(kinds, h.Kind)
		}
		if e.Code != irq.ErrAlreadyConnected || e.Reason != test.reason || !strings.Contains(e.Detail, test.says) {
			t.Errorf("%s: %v", test.name, e)
		}
		if d := cmp.Diff(test.kinds, kinds); d != "" {
			t.Errorf("%s: %s", test.name, d)
		}
	}
}

// Whose interrupt a line is, is found by the line's number and the irqchip's name, in what the kernel shows of its interrupts.
func TestWhoseInterruptALineIs(t *testing.T) {
	root := t.TempDir()
	for irq, files := range map[string]string{
		"4": "IR-IO-APIC 4 ttyS0", "9": "IR-IO-APIC 5 acpi", "24": "intel-gpio 5 ttyS1", "25": "intel-gpio 6 ", "26": "1-0020 5 touch",
		"27": "pinctrl-a 7 one", "28": "pinctrl-b 7 two",
	} {
		dir := filepath.Join(root, "sys/kernel/irq", irq)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		values := strings.Split(files, " ")
		for i, name := range []string{"chip_name", "hwirq", "actions"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(values[i]+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	chips := filepath.Join(root, "sys/bus/gpio/devices")
	if err := os.MkdirAll(filepath.Join(chips, "gpiochip0"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		label string
		line  int
		want  string
	}{{"INT344B:00", 5, "ttyS1"}, {"1-0020", 5, "touch"}, {"INT344B:00", 4, ""}, {"INT344B:00", 6, ""}, {"INT344B:00", 7, ""}, {"INT344B:00", 8, ""}} {
		g := &gpio{config: Config{Root: root}, label: test.label}
		if got := g.handler(test.line); got != test.want {
			t.Errorf("line %d of %s is %q's, want %q's", test.line, test.label, got, test.want)
		}
	}
	if err := os.MkdirAll(filepath.Join(chips, "gpiochip1"), 0o755); err != nil {
		t.Fatal(err)
	}
	g := &gpio{config: Config{Root: root}, label: "INT344B:00"}
	if got := g.handler(5); got != "" {
		t.Errorf("of two chips one is said to be %q's", got)
	}
}
