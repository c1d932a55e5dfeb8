//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/ivtd/ivt"
)

// daemon is the process that serves, and its parent, the keeper.
func (b *workbench) daemon() (worker, keeper int) {
	b.t.Helper()
	c, err := ivt.Dial(b.t.Context(), ivt.Socket(b.dir+"/s"))
	if err != nil {
		return 0, 0
	}
	defer c.Close()
	s, err := c.Status(b.t.Context())
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

// TestWatchAfterRestarts: a worker's death costs a watcher nothing; another registry ends the watching, with the reason, rather than
// to go on as if nothing had been missed.
func TestWatchAfterRestarts(t *testing.T) {
	b := newWorkbench(t)
	c := b.command("watch", "--json")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	c.Stderr = &errs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	lines, last := bufio.NewScanner(out), uint64(0)
	lines.Buffer(nil, 1<<20)
	connected := func(vector string) {
		t.Helper()
		for lines.Scan() {
			var u struct {
				Ready          bool
				Sequence, Lost uint64
				Event          *struct {
					Sequence     uint64
					Kind, Vector string
				}
			}
			if err := json.Unmarshal(lines.Bytes(), &u); err != nil {
				t.Fatalf("%s: %v", lines.Text(), err)
			}
			switch {
			case u.Ready && vector == "":
				last = u.Sequence
				return
			case u.Event == nil:
				continue
			case u.Event.Sequence != last+u.Lost+1:
				t.Errorf("event %d after %d, %d lost", u.Event.Sequence, last, u.Lost)
			}
			last = u.Event.Sequence
			if u.Event.Kind == "connected" && u.Event.Vector == vector {
				return
			}
		}
		t.Fatalf("the watching ended before %s: %v %s", vector, lines.Err(), errs.String())
	}
	connected("")
	b.hold("soft:demo/1")
	connected("soft:demo/1")

	worker, keeper := b.daemon()
	syscall.Kill(worker, syscall.SIGKILL)
	b.until(func() bool { now, _ := b.daemon(); return now != 0 && now != worker })
	b.hold("soft:demo/2")
	connected("soft:demo/2")

	syscall.Kill(keeper, syscall.SIGKILL)
	b.until(func() bool { now, _ := b.daemon(); return now == 0 })
	next := exec.Command(program(t, "ivtd"), "--socket", b.dir+"/s", "--config", b.dir+"/ivtd.toml")
	if err := next.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Process.Signal(os.Interrupt); next.Wait() })
	said := ""
	for lines.Scan() {
		if said += lines.Text(); strings.Contains(lines.Text(), `"connected"`) {
			t.Errorf("after the end: %s", lines.Text())
		}
	}
	if err := c.Wait(); err == nil || c.ProcessState.ExitCode() != 4 && c.ProcessState.ExitCode() != 7 {
		t.Errorf("the watching ended with %v: %s", err, errs.String())
	}
	if !strings.Contains(said+errs.String(), `"error"`) {
		t.Errorf("it does not say why: %s%s", said, errs.String())
	}
	b.until(func() bool { now, _ := b.daemon(); return now != 0 })
	if out, _, _ := b.ivt("who", "soft:demo/1"); strings.Contains(out, "held") {
		t.Errorf("a stale holder: %s", out)
	}
}
