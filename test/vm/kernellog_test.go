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
			faults, _ := k.take()
			if diff := cmp.Diff(tt.want, strings.Join(faults, "\n")); diff != "" {
				t.Error(diff)
			}
			if again, _ := k.take(); again != nil {
				t.Errorf("taken twice: %q", again)
			}
		})
	}
}

// A stall is the host's fault if the kernel takes all of it for a false positive, or if the host starved the VM; anything else in
// it is still a fault.
func TestStallsOfAStarvedVM(t *testing.T) {
	const (
		head     = "[   60.000000] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:"
		idle     = "[   60.000001] rcu: \t1-...!: (0 ticks this GP) idle=6b8c/0/0x0 softirq=3027/3027 fqs=0 (false positive?)"
		busy     = "[   60.000002] rcu: \t0-...!: (1 GPs behind) idle=1234/1/0x4 softirq=3027/3027 fqs=0"
		detected = "[   60.000003] rcu: \t(detected by 0, t=21002 jiffies, g=5013, q=4 ncpus=2)"
		self     = "[   61.000000] rcu: INFO: rcu_preempt self-detected stall on CPU"
		bug      = "[   62.000000] watchdog: BUG: soft lockup - CPU#1 stuck for 67s! [x:1]"
		warning  = "[   63.000000] WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1"
		lockdep  = "[   64.000000] WARNING: possible circular locking dependency detected"
	)
	for _, tt := range []struct {
		name          string
		starved       bool
		log           []string
		faults, notes []string
	}{
		{name: "false positive", log: []string{head, idle, detected}, notes: []string{"a stall that the kernel itself takes for a false positive: " + head}},
		{name: "one processor is none", log: []string{head, idle, busy, detected}, faults: []string{head, idle, busy, detected}},
		{name: "a stall", log: []string{head, busy, detected}, faults: []string{head, busy, detected}},
		{name: "nothing after it", log: []string{head}, faults: []string{head}},
		{name: "starved", starved: true, log: []string{head, busy, detected}, notes: []string{"a stall while this machine had too little time for the VM: " + head}},
		{name: "starved, by itself", starved: true, log: []string{self, busy}, notes: []string{"a stall while this machine had too little time for the VM: " + self}},
		{name: "by itself", log: []string{self, busy}, faults: []string{self, busy}},
		{name: "more than a stall", starved: true, log: []string{head, idle, bug}, notes: []string{"a stall that the kernel itself takes for a false positive: " + head}, faults: []string{bug}},
		{name: "starved is no excuse", starved: true, log: []string{bug, warning, lockdep}, faults: []string{bug, warning, lockdep}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var k kernelLog
			k.blame(func() bool { return tt.starved })
			for _, line := range tt.log {
				k.add(line)
			}
			faults, notes := k.take()
			if diff := cmp.Diff([][]string{tt.faults, tt.notes}, [][]string{faults, notes}); diff != "" {
				t.Error(diff)
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
