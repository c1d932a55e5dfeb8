package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// stopper stops QEMU, a child of this process, when a test asks for it.
type stopper struct {
	t    *testing.T
	once sync.Once
}

func (s *stopper) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "now stop QEMU") {
		s.once.Do(func() {
			for _, pid := range children("qemu") {
				if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
					s.t.Error(err)
				}
			}
		})
	}
	return len(p), nil
}

func children(name string) (pids []int) {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for word := range strings.FieldsSeq(string(text)) {
			comm, _ := os.ReadFile(filepath.Join("/proc", word, "comm"))
			if pid, err := strconv.Atoi(word); err == nil && strings.HasPrefix(string(comm), name) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// TestAHangIsExamined: what hangs is said, whoever it is, and the package behind it is run.
func TestAHangIsExamined(t *testing.T) {
	kernel := kernelsOf(t)[0]
	for _, tt := range []struct {
		run     string
		output  []string // of the test
		trouble []string // what the harness adds
	}{
		{run: "TestStops", // init ends it
			output: []string{"all processes, and what their threads wait for:", "vm.test", "SIGQUIT: quit", "faulty.TestStops("}},
		{run: "TestFreezes", // the kernel answers
			trouble: []string{"did not answer for", "had begun and not ended: TestFreezes", `status: {"status": "running"`, "info registers -a: CPU#1",
				"QEMU's threads: ", "/TCG: S (sleeping)", "info lapic 1: LVTT", "it sent 0 frames",
				"Kernel panic - not syncing: NMI", "Sending NMI from CPU 0 to CPUs 1:", "NMI backtrace for cpu 1", "task:init "}},
		{run: "TestPaused", // only QEMU answers
			trouble: []string{"had begun and not ended: TestPaused", `"status": "paused"`, "info registers -a: CPU#1", "the last words"}},
		{run: "TestAsksForStop", // only the host's kernel answers
			trouble: []string{"had begun and not ended: TestAsksForStop", "/TCG: T (stopped)", "QEMU's monitor: query-status: "}},
	} {
		t.Run(tt.run, func(t *testing.T) {
			if tt.run != "TestAsksForStop" { // which stops all VMs
				t.Parallel()
			}
			var got []Result
			ok, err := Run(t.Context(), Options{
				Kernels: []string{kernel}, Packages: []string{"./testdata/faulty", "./testdata/behind"}, Run: "^(" + tt.run + "|TestPasses)$", Count: 1,
				Timeout: 10 * time.Second, grace: 15 * time.Second, // the package behind it has to start in that, too, on a busy machine
				Log: os.Stderr, Stream: &stopper{t: t}, Each: func(r Result) { got = append(got, r) },
			})
			if err != nil || ok || len(got) != 2 {
				t.Fatalf("ok %v, %d results, %v", ok, len(got), err)
			}
			hung, behind := got[0], got[1]
			if hung.OK || !strings.HasSuffix(hung.Package, "faulty") {
				hung, behind = behind, hung
			}
			for where, all := range map[string][]string{string(hung.Output): tt.output, strings.Join(hung.Trouble, "\n"): tt.trouble} {
				for _, want := range all {
					if !strings.Contains(where, want) {
						t.Errorf("nothing says %q", want)
					}
				}
			}
			if t.Failed() || testing.Verbose() {
				t.Logf("output:\n%s\ntrouble:\n%s", hung.Output, strings.Join(hung.Trouble, "\n"))
			}
			if !behind.OK {
				t.Errorf("the package behind it: %s\n%s", behind.Output, strings.Join(behind.Trouble, "\n"))
			}
		})
	}
}

func TestUnfinishedTests(t *testing.T) {
	const output = `=== RUN   TestA
--- PASS: TestA (0.01s)
=== RUN   TestB
=== RUN   TestB/one
    --- PASS: TestB/one (0.00s)
=== RUN   TestB/two
    b_test.go:1: text
=== RUN   TestC
=== PAUSE TestC
=== RUN   TestD
--- SKIP: TestD (0.00s)
=== RUN   TestA
`
	if diff := cmp.Diff([]string{"TestA", "TestB", "TestB/two", "TestC"}, unfinished([]byte(output))); diff != "" {
		t.Error(diff)
	}
	if left := unfinished([]byte("PASS\n")); left != nil {
		t.Errorf("of nothing: %q", left)
	}
}

// TestTasksOfInterest: the kernel's own threads that sleep are left out of its list.
func TestTasksOfInterest(t *testing.T) {
	const console = `[   20.000000] Kernel panic - not syncing: NMI: Not continuing
[   20.000001] task:init            state:S stack:0     pid:1     tgid:1     ppid:0      flags:0x00000002
[   20.000002] Call Trace:
[   20.000003]  <TASK>
[   20.000004]  __schedule+0x1
[   20.000005]  </TASK>
[   20.000006] task:kthreadd        state:S stack:0     pid:2     tgid:2     ppid:0      flags:0x00004000
[   20.000007] Call Trace:
[   20.000008]  <TASK>
[   20.000009]  kthreadd+0x1
[   20.000010]  </TASK>
[   20.000011] task:kworker/0:0     state:I stack:0     pid:7     tgid:7     ppid:2      flags:0x00004000
[   20.000012] Workqueue:  0x0 (events)
[   20.000013] Call Trace:
[   20.000014]  worker_thread+0x1
[   20.000015] task:rcu_sched       state:D stack:0     pid:8     tgid:8     ppid:2      flags:0x00004000
[   20.000016]  ? rcu+0x1
[   20.000017] task:ksoftirqd/0     state:S stack:0     pid:9     tgid:9     ppid:2      flags:0x00004000
[   20.000018]  smpboot_thread_fn+0x1
[   20.000019] Timer List Version: v0.9
`
	const want = `NMI: Not continuing|task:init |Call Trace:| <TASK>| __schedule+0x1| </TASK>|task:rcu_sched | ? rcu+0x1|Timer List`
	var lines []string
	for line := range strings.Lines(console) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	kept := ofInterest(lines)
	wants := strings.Split(want, "|")
	if len(kept) != len(wants) {
		t.Fatalf("%d lines, want %d:\n%s", len(kept), len(wants), strings.Join(kept, "\n"))
	}
	for i, line := range kept {
		if !strings.Contains(line, wants[i]) {
			t.Errorf("line %d is %q, want %q", i, line, wants[i])
		}
	}
}

// TestLostInterrupts takes what an examination said of a VM that stood still under QEMU 7.2 with a thread a processor.
func TestLostInterrupts(t *testing.T) {
	found := []string{
		"info registers -a: CPU#0",
		"info registers -a: RIP=ffffffff813e06b0 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1",
		"info registers -a: CPU#1",
		"info registers -a: RIP=ffffffff813e06b0 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1",
		"info lapic 0: ISR\t (none)",
		"info lapic 1: ISR\t 236 ",
		"info lapic 1: IRR\t 236 ",
	}
	const want = "processor 1 is halted with interrupt 236 in service: QEMU lost its end, see threading in machine.go"
	if got := lostInterrupts(found); got != want {
		t.Errorf("%q", got)
	}
	found[3] = strings.Replace(found[3], "HLT=1", "HLT=0", 1)
	if got := lostInterrupts(found); got != "" {
		t.Errorf("of a processor that runs: %q", got)
	}
}

// TestThreading: versions as qemu-system-x86_64 --version prints them.
func TestThreading(t *testing.T) {
	for version, want := range map[string]string{
		"QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) ...": "single",
		"QEMU emulator version 8.1.0":                       "single",
		"QEMU emulator version 8.2.0":                       "multi",
		"QEMU emulator version 10.0.3 (Debian 1:10.0.3+ds)": "multi",
		"": "single",
	} {
		if got := threading(version); got != want {
			t.Errorf("%.30q: %s, want %s", version, got, want)
		}
	}
}

// TestThreads: what /proc says of this process, and what is made of it.
func TestThreads(t *testing.T) {
	all := threadsOf(os.Getpid())
	self, ok := all[os.Getpid()]
	if !ok || self.name == "" || self.state == "" {
		t.Errorf("of this process: %+v", self)
	}
	if text := describe(nil, all); !strings.Contains(text, fmt.Sprintf("%d %s: ", os.Getpid(), self.name)) {
		t.Errorf("it is described as %s", text)
	}
	if !running(os.Getpid()) || running(1<<30) {
		t.Error("who runs is not known")
	}
}

// TestStarved: a VM that shares two processors with another is not starved, one of thirty is.
func TestStarved(t *testing.T) {
	at := func(ran, waited time.Duration) sample { return sample{ran * time.Second, waited * time.Second} }
	for _, tt := range []struct {
		name     string
		from, to sample
		want     bool
	}{
		{"alone", at(10, 1), at(40, 2), false},
		{"shared", at(10, 10), at(40, 40), false},
		{"one of thirty", at(10, 10), at(13, 55), true},
		{"idle", at(10, 10), at(10, 14), false},
	} {
		if got := starved(tt.from, tt.to); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
