package host_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/hosttest"
	"github.com/ivtd/ivt/irq"
)

func at(m *host.Machine, seconds int) *host.Machine {
	m.Taken = time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC)
	return m
}

func machine(t *testing.T, seconds int, interrupts string) *host.Machine {
	t.Helper()
	m, err := hosttest.OpenText(t, "== proc/interrupts\n"+interrupts).Read(context.Background(), host.Options{Parts: host.PartCounts})
	if err != nil {
		t.Fatal(err)
	}
	return at(m, seconds)
}

func TestRates(t *testing.T) {
	for _, c := range []struct {
		name, before, after string
		seconds             int
		want                string // of the last irq or row
	}{
		{"plain", "CPU0 CPU1\n 1: 10 20 x 1-edge y\n", "CPU0 CPU1\n 1: 110 30 x 1-edge y\n", 10, "11 [10 1]"},
		{"one CPU wraps", "CPU0 CPU1\n 1: 4294967290 20 x\n", "CPU0 CPU1\n 1: 4 20 x\n", 10, "1 [1 0]"},
		{"both wrap", "CPU0 CPU1\n 1: 4294967295 4294967286 x\n", "CPU0 CPU1\n 1: 9 0 x\n", 10, "2 [1 1]"},
		{"a CPU came", "CPU0 CPU1\n 1: 10 20 x\n", "CPU0 CPU1 CPU2\n 1: 20 20 500 x\n", 10, "1 [1 0]"},
		{"a CPU went, columns shift", "CPU0 CPU1 CPU2\n 1: 10 999 30 x\n", "CPU0 CPU2\n 1: 20 40 x\n", 10, "2 [1 1]"},
		{"requested anew", "CPU0 CPU1\n 1: 1000 20 x\n", "CPU0 CPU1\n 1: 5 0 x\n", 10, "restarted"},
		{"another chip", "CPU0 CPU1\n 1: 10 20 PCI-MSI 5-edge  y\n", "CPU0 CPU1\n 1: 20 20 PCI-MSI 6-edge  z\n", 10, "restarted"},
		{"fell after a day", "CPU0 CPU1\n 1: 1000 20 x\n", "CPU0 CPU1\n 1: 5 0 x\n", 86400, "uncertain"},
		{"wrapped after a day", "CPU0 CPU1\n 1: 4294967290 20 x\n", "CPU0 CPU1\n 1: 863994 20 x\n", 86400, "10 [10 0]"},
		{"misaligned", "CPU0 CPU1\n 1: 10 x\n", "CPU0 CPU1\n 1: 30 x\n", 10, "2 []"},
		{"one count for all", "CPU0 CPU1\nERR: 10\n", "CPU0 CPU1\nERR: 30\n", 10, "2 []"},
		{"second of two labels", "CPU0\nLOC: 10 a\nLOC: 20 b\n", "CPU0\nLOC: 10 a\nLOC: 40 b\n", 10, "2 [2]"},
	} {
		set, err := host.Rates(machine(t, 0, c.before), machine(t, c.seconds, c.after))
		if err != nil {
			t.Fatal(c.name, err)
		}
		all := append(set.IRQs, set.Rows...)
		r := all[len(all)-1]
		got := fmt.Sprint(r.Total, " ", r.PerCPU)
		switch {
		case r.Restarted:
			got = "restarted"
		case r.Uncertain:
			got = "uncertain"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	m := machine(t, 5, "CPU0\n 1: 1 x\n")
	for _, other := range []*host.Machine{m, machine(t, 9, "CPU0\n 1: 1 x\n"), {}} {
		if _, err := host.Rates(other, m); !errors.Is(err, irq.ErrInvalidParameter) {
			t.Error("rates without time between:", err)
		}
	}
}
