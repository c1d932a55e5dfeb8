// Package faulty goes wrong in every way that the harness must notice. Its
// folder is called testdata, so only who names it runs it.
package faulty

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/ivtd/ivt/test/vm/guest"
)

func TestPasses(t *testing.T) { guest.Require(t) }

func TestFails(t *testing.T) {
	guest.Require(t)
	t.Error("as it should")
}

func TestWarns(t *testing.T) {
	guest.Require(t)
	write(t, "/dev/kmsg", "<4>WARNING: CPU: 0 PID: 1 at a test")
}

func TestWarnsAsExpected(t *testing.T) {
	guest.Require(t)
	guest.ExpectLog(t, "at a test")
	write(t, "/dev/kmsg", "<4>WARNING: CPU: 0 PID: 1 at a test")
}

func TestPanics(t *testing.T) {
	guest.Require(t)
	write(t, "/proc/sysrq-trigger", "c")
}

// TestStops no clock of its own ends: init does.
func TestStops(t *testing.T) {
	guest.Require(t)
	go syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	select {}
}

// TestFreezes the guest's init, which then ends nothing. What waits for it is seen in the kernel only.
func TestFreezes(t *testing.T) {
	guest.Require(t)
	const group = "/sys/fs/cgroup/ice/"
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, group+"cgroup.procs", "1")
	write(t, group+"cgroup.freeze", "1")
	select {}
}

// TestPaused stops the processors.
func TestPaused(t *testing.T) {
	guest.Require(t)
	write(t, "/dev/kmsg", "the last words")
	guest.QMP(t, "stop", nil)
	select {}
}

// TestAsksForStop is stopped by the other side.
func TestAsksForStop(t *testing.T) {
	guest.Require(t)
	fmt.Println("now stop QEMU")
	select {}
}

func TestLeavesAProcess(t *testing.T) {
	guest.Require(t)
	if err := exec.Command("setsid", "sleep", "1000").Start(); err != nil {
		t.Fatal(err)
	}
}

// write ends the line: the kernel holds back a log line without end, since more
// of it may follow.
func write(t *testing.T, path, text string) {
	if err := os.WriteFile(path, []byte(text+"\n"), 0); err != nil {
		t.Fatal(err)
	}
}
