package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
)

// TestRule13HistoryOutlivesIvtd: kills and ends of ivtd leave events with rising numbers, none twice, and ivt history reads
// them from the file when no ivtd runs.
func TestRule13HistoryOutlivesIvtd(t *testing.T) {
	state, runtime := t.TempDir(), t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	r := &running{t: t, socket: filepath.Join(runtime, "ivtd.sock"), args: []string{"--user", "--log-format", "json"}}
	var connected []uint64
	read := func() (last uint64) {
		connected = nil
		for e, err := range r.client().History(limit(t), "soft:demo/3", time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Sequence <= last {
				t.Fatalf("event %d after %d", e.Sequence, last)
			}
			last = e.Sequence
			if e.Kind == irq.EventConnected {
				connected = append(connected, e.Sequence)
			}
		}
		return last
	}
	for round := range 3 {
		r.run()
		for range 2 {
			d := r.driver()
			d.connect("soft:demo/3")
			d.do(word{Do: "disconnect"})
			if read(); len(connected) == 0 {
				t.Fatal("an event that just happened is not in the history")
			}
			r.killWorker()
		}
		d := r.driver()
		d.connect("soft:demo/3")
		d.kill()
		r.Process.Signal(syscall.SIGTERM)
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
		_ = round
	}
	ivt := filepath.Join(t.TempDir(), "ivt")
	if out, err := exec.Command("go", "build", "-o", ivt, "../ivt").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(ivt, "--user", "history", "soft:demo/3").CombinedOutput()
	if n := strings.Count(string(out), " connected "); err != nil || n < 3 || !strings.Contains(string(out), "no ivtd runs") {
		t.Errorf("ivt history without ivtd: %d connects, %v\n%s", n, err, out)
	}
	fmt.Fprintln(t.Output(), "connects seen by ivt history without ivtd:", strings.Count(string(out), " connected "))
}
