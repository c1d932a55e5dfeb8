package whole

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// After a second round of everything ivtd has no more descriptors than it had after the first (a vector that was ever used keeps the
// one that it is parked on), and when ivtd has ended /proc/interrupts has the lines that it had before it began.
func TestAfterAllItIsAsBefore(t *testing.T) {
	guest.Require(t)
	lines := interruptLines(t)
	t.Run("work", func(t *testing.T) {
		w := start(t, "nic0", "edu0", "edu1")
		w.everything()
		before := w.descriptors()
		w.everything()
		var grown []string
		defer func() {
			for _, g := range grown {
				t.Error(g)
			}
		}()
		guest.Eventually(t, "ivtd has no more descriptors than it had", func() bool {
			grown = nil
			for what, n := range w.descriptors() {
				if n > before[what] { // fewer: the end of a driver was still being noticed
					grown = append(grown, fmt.Sprintf("%s: %d, then %d", what, before[what], n))
				}
			}
			return grown == nil
		})
	})
	if diff := cmp.Diff(lines, interruptLines(t)); diff != "" {
		t.Error(diff)
	}
}

// everything is one round: all types and deliveries, refusals, waiting, sharing, grants, deaths, and a restart of the worker.
func (w *whole) everything() {
	w.t.Helper()
	of := func(id, vector string) string { return "pci:" + guest.Device(w.t, id) + "/" + vector }
	nic, edu, line := of("nic0", "msix/%d"), of("edu0", "msi/0"), of("edu1", "intx/0")
	var drivers []*driver
	for i := range 5 {
		drivers = append(drivers, w.connected(fmt.Sprintf(nic, i), "irq"))
	}
	for i := range 5 {
		if _, err := w.client.Connect(w.t.Context(), fmt.Sprintf(nic, i)); !errors.Is(err, irq.ErrAlreadyConnected) {
			w.t.Errorf("the second: %v", err)
		}
	}
	next := w.driver(fmt.Sprintf(nic, 2), "irq")
	guest.Eventually(w.t, "one waits", func() bool { return w.info(fmt.Sprintf(nic, 2)).Waiting == 1 })
	drivers[2].kill()
	next.says("connected")
	one, two := w.connected(line, "shared"), w.connected(line, "shared")
	owner := w.connected(edu, "device")
	bell := w.connected("soft:demo/1", "irq")
	w.restart()
	if err := w.client.Raise(w.t.Context(), "soft:demo/1", 3); err != nil {
		w.t.Error(err)
	}
	bell.says("woken")
	owner.kill()
	two.kill()
	for _, d := range append(drivers, next, one, bell) {
		if d != drivers[2] {
			d.leave()
		}
	}
	for i := range w.client.List(w.t.Context(), "", true) {
		guest.Eventually(w.t, i.Vector.String()+" is free", func() bool { return w.info(i.Vector.String()).State == irq.StateFree })
	}
}

// restart kills the worker and waits for its successor.
func (w *whole) restart() {
	w.t.Helper()
	former := w.pid()
	if err := syscall.Kill(former, syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
	guest.Eventually(w.t, "another worker serves", func() bool { return w.pid() != former })
}

// pid returns the worker's.
func (w *whole) pid() int {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	s, err := w.client.Status(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.PID
}

var numbers = regexp.MustCompile(`[0-9]+`)

// descriptors counts what keeper and worker have open, by what it is.
func (w *whole) descriptors() map[string]int {
	w.t.Helper()
	s, err := w.client.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]int{}
	for name, pid := range map[string]int{"keeper": w.Process.Pid, "worker": s.PID} {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, file := range files {
			if target, err := os.Readlink(file); err == nil {
				all[name+" "+numbers.ReplaceAllString(target, "N")]++
			}
		}
	}
	return all
}

// interruptLines are the interrupts that there are, less their counts.
func interruptLines(t *testing.T) (lines []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/interrupts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		lines = append(lines, strings.Join(slices.DeleteFunc(fields[min(1, len(fields)):], func(f string) bool {
			return strings.Trim(f, "0123456789") == ""
		}), " "))
	}
	slices.Sort(lines)
	return lines
}
