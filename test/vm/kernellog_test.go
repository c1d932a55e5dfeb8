package vm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKernelFaults(t *testing.T) {
	for _, tt := range []struct {
		name, log, want string
		expect          string
	}{
		{name: "quiet", log: "[    1.000000] vfio-pci 0000:00:04.0: enabling device\n", want: ""},
		{name: "console and log", log: "[    1.000000] Kernel panic - not syncing: x\n[    1.000000] Kernel panic - not syncing: x\n",
			want: "[    1.000000] Kernel panic - not syncing: x"},
		{name: "a warning with its trace", log: `[    2.000000] before
[    3.000000] WARNING: CPU: 0 PID: 1 at drivers/pci/msi.c:1 f+0x1
[    3.000001] Call Trace:
[    3.000002]  f+0x1
[    3.000003] ---[ end trace 0000000000000000 ]---
[    4.000000] after
`, want: `[    3.000000] WARNING: CPU: 0 PID: 1 at drivers/pci/msi.c:1 f+0x1
[    3.000001] Call Trace:
[    3.000002]  f+0x1
[    3.000003] ---[ end trace 0000000000000000 ]---`},
		{name: "an expected one", expect: `irq 21: nobody cared`, log: "[    3.000000] irq 21: nobody cared (try booting with the \"irqpoll\" option)\n[    3.1] Call Trace:\n"},
		{name: "another than expected", expect: `irq 21: nobody cared`, log: "[    3.000000] irq 9: nobody cared\n", want: "[    3.000000] irq 9: nobody cared"},
		{name: "an unbind that waits for a holder", log: "[    9.000000] vfio-pci 0000:00:04.0: No device request channel registered, blocked until released by user\n",
			want: "[    9.000000] vfio-pci 0000:00:04.0: No device request channel registered, blocked until released by user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var k kernelLog
			if tt.expect != "" {
				if err := k.expect(tt.expect); err != nil {
					t.Fatal(err)
				}
			}
			for line := range strings.Lines(tt.log) {
				k.add(line)
			}
			if diff := cmp.Diff(tt.want, strings.Join(k.take(), "\n")); diff != "" {
				t.Error(diff)
			}
			if again := k.take(); again != nil {
				t.Errorf("taken twice: %q", again)
			}
		})
	}
}

func TestLastKernelLines(t *testing.T) {
	var k kernelLog
	for i := range 5 * keptLines {
		k.add(strings.Repeat("x", i))
	}
	last := k.last(2)
	if len(last) != 2 || len(last[1]) != 5*keptLines-1 {
		t.Errorf("%d lines, the last of %d bytes", len(last), len(last[len(last)-1]))
	}
}
