package top

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
)

// serving returns the process that serves a socket, and its parent; 0, 0 if none does.
func serving(t *testing.T, socket string) (worker, keeper int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := ivt.Dial(ctx, ivt.Socket(socket))
	if err != nil {
		return 0, 0
	}
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil {
		return 0, 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		fmt.Sscanf(line, "PPid: %d", &keeper)
	}
	return s.PID, keeper
}

// kill ends a process as the system does when it has no memory, and waits until another one serves, or none.
func kill(t *testing.T, pid int, socket string, another bool) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; pause(t) {
		if worker, keeper := serving(t, socket); worker != pid && keeper != pid && (worker != 0) == another {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("pid %d was killed; waited 30 s", pid)
		}
	}
}

// TestTopIsRightAfterRestarts: whatever of ivtd dies, top says so, then shows who holds now and nobody who does not.
func TestTopIsRightAfterRestarts(t *testing.T) {
	x := open(t, 110, 24)
	program, ivtd := programs(t)
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	for _, name := range []string{"XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(name, dir)
	}
	holder := func(vector, label string) {
		process(t, program, "connect", vector, "--socket", socket, "--label", label)
	}
	daemon(t, ivtd, socket)
	x.types(program + " top --interval 200ms --socket " + socket)
	x.keys("Enter")
	x.until("the first picture", "soft:demo/")
	x.keys("/")
	x.types("demo held")
	x.keys("Enter")
	holder("soft:demo/3", "left pump")
	x.until("a holder", "left pump")

	worker, keeper := serving(t, socket)
	kill(t, worker, socket, true)
	holder("soft:demo/4", "right pump")
	x.until("both, by the next worker", "left pump", "right pump", "ivtd: 2 connections", "!gone")

	kill(t, keeper, socket, false)
	x.until("that ivtd is gone, and who held by it", "ivtd gone since", "!left pump", "!right pump")

	daemon(t, ivtd, socket)
	for end := time.Now().Add(30 * time.Second); ; pause(t) {
		if worker, _ := serving(t, socket); worker != 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the new ivtd does not serve")
		}
	}
	holder("soft:demo/5", "new pump")
	x.until("the new world only", "new pump", "ivtd: 1 connections", "!left pump", "!right pump", "!gone")
	x.keys("q")
}
