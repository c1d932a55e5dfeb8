package host_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/irq"
)

// live opens the machine that the test runs on.
func live(t testing.TB) *host.Root {
	t.Helper()
	r, err := host.Open("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Interrupts(); err != nil {
		if os.Getenv("CI") == "true" && runtime.GOOS == "linux" {
			t.Fatal(err)
		}
		t.Skip("no /proc/interrupts to read; try: Linux, outside a sandbox that hides /proc:", err)
	}
	return r
}

func TestLiveMachine(t *testing.T) {
	r := live(t)
	m, err := r.Read(context.Background(), host.Options{Parts: host.PartAll})
	if err != nil || !r.Live() || m.Taken.IsZero() || m.Kernel == "" || len(m.Columns) == 0 {
		t.Fatal(err, m)
	}
	if len(m.Problems) > 0 {
		t.Error(m.Problems)
	}
	again, err := r.Read(context.Background(), host.Options{Parts: host.PartAll})
	if err != nil {
		t.Fatal(err)
	}
	rates, err := host.Rates(m, again)
	if err != nil {
		t.Fatal(err)
	}
	for _, rate := range slices.Concat(rates.IRQs, rates.Rows) {
		if rate.Restarted || rate.Uncertain || rate.Total < 0 {
			t.Errorf("%+v", rate)
		}
	}
	for i := range m.IRQs {
		q := &m.IRQs[i]
		if _, err := r.Who(context.Background(), q.Name()); err != nil && !errors.Is(err, irq.ErrNoSuchDevice) { // it may have gone
			t.Errorf("%s: %v", q.Name(), err)
		}
	}
}

func TestLiveProcess(t *testing.T) {
	r := live(t)
	f, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := r.Who(context.Background(), os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	mine := slices.IndexFunc(a.Holders, func(h host.Holder) bool { return h.PID == os.Getpid() })
	if mine < 0 {
		t.Fatalf("this process is not among those that have %s open: %v", os.DevNull, all(a.Holders))
	}
	if h := a.Holders[mine]; *h.UID != os.Getuid() || h.StartTime == 0 || !strings.HasPrefix(h.Via, os.DevNull) || !strings.HasPrefix(filepath.Base(os.Args[0]), h.Command) {
		t.Errorf("%+v", h)
	}
	if _, err := r.Who(context.Background(), "pid:1"); err != nil {
		t.Error(err)
	}
}

func TestLiveSave(t *testing.T) {
	r := live(t)
	saved, err := host.OpenReader("saved", bytes.NewReader(save(t, r)))
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.Read(context.Background(), host.Options{Parts: host.PartDevices})
	b, err2 := saved.Read(context.Background(), host.Options{Parts: host.PartAll})
	if err != nil || err2 != nil || b.Taken.IsZero() || b.Booted.IsZero() || len(a.IRQs) > len(b.IRQs) {
		t.Fatal(err, err2, b.Taken)
	}
	for i := range a.IRQs {
		if q := b.IRQ(a.IRQs[i].Number); q == nil || line(q) != line(&a.IRQs[i]) {
			t.Errorf("%s was saved as %+v", line(&a.IRQs[i]), q)
		}
	}
}
