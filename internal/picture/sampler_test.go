package picture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/hosttest"
	"github.com/ivtd/ivt/irq"
)

// A machine is a directory whose /proc/interrupts a test writes.
type machine struct {
	t    testing.TB
	dir  string
	root *host.Root
}

func newMachine(t testing.TB, table string) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(m.dir, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.write(table)
	root, err := host.Open(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	m.root = root
	return m
}

func (m *machine) write(table string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, "proc/interrupts"), []byte(table), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func next(t *testing.T, s *Sampler) *Picture {
	t.Helper()
	p, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shift makes the last scan a second old.
func (s *Sampler) shift() { s.now.taken = s.now.taken.Add(-time.Second) }

// near is for rates of a second that was longer, by as much as a busy machine makes it.
func near(a, b float64) bool { return a > 0.02*b && a <= b }

// same is for rates of one and the same second.
func same(a, b float64) bool { return a > 0.999*b && a < 1.001*b }

const twoCPUs = "           CPU0       CPU1\n  8:          1          5   IO-APIC    8-edge      rtc0\n 24:         %d         %d   PCI-MSI 512000-edge      ahci\nLOC:        9        9   Local timer interrupts\n"

// TestSamplerReadsNoSoonerThanApart: a picture in between has what the last reading showed, rates included, of both sides.
func TestSamplerReadsNoSoonerThanApart(t *testing.T) {
	m := newMachine(t, fmt.Sprintf(twoCPUs, 10, 20))
	s := &Sampler{Root: m.root, Parts: host.PartList, Apart: time.Hour}
	managed := func(p *Picture, total uint64) *Row {
		p.Rows = append(p.Rows, Row{Name: "soft:demo/1", Managed: true, Total: &total})
		p.Taken = s.now.taken // as on the running machine
		s.ours.rates(p)
		return &p.Rows[len(p.Rows)-1]
	}
	managed(next(t, s), 5)
	s.now.taken = s.now.taken.Add(-2 * time.Hour)
	s.ours.counts["soft:demo/1"] = counted{arrived: 5, at: s.now.taken}
	m.write(fmt.Sprintf(twoCPUs, 110, 20))
	p := next(t, s)
	kernel, ours := *p.Rows[1].Rate, *managed(p, 25).Rate
	if kernel <= 0 || ours <= 0 || *p.Rows[1].Total != 130 {
		t.Fatalf("rates %v and %v, total %d", kernel, ours, *p.Rows[1].Total)
	}
	m.write(fmt.Sprintf(twoCPUs, 1110, 20))
	p = next(t, s)
	if r := p.Rows[1]; *r.Rate != kernel || *r.Total != 130 {
		t.Errorf("too soon: rate %v, it was %v; total %d", *r.Rate, kernel, *r.Total)
	}
	if r := managed(p, 26); *r.Rate != ours || *r.Total != 26 {
		t.Errorf("too soon: rate %v, it was %v; total %d", *r.Rate, ours, *r.Total)
	}
}

func TestSamplerRatesOfRowsAndCPUs(t *testing.T) {
	m := newMachine(t, fmt.Sprintf(twoCPUs, 10, 4294967000))
	s := &Sampler{Root: m.root, Parts: host.PartList}
	if p := next(t, s); p.Rows[1].Rate != nil || *p.Rows[1].Total != 4294967010 {
		t.Errorf("the first picture has rate %v, total %d", p.Rows[1].Rate, *p.Rows[1].Total)
	}
	s.shift()
	m.write(fmt.Sprintf(twoCPUs, 110, 704)) // CPU1 wrapped: 1000 more
	p := next(t, s)
	if r := p.Rows[1]; !near(*r.Rate, 1100) || len(r.Hits) != 2 || !near(r.Hits[1].Rate, 1000) || *r.Total != 814 {
		t.Errorf("row: rate %v, hits %v, total %d", *r.Rate, r.Hits, *r.Total)
	}
	if r := p.Rows[0]; *r.Rate != 0 || len(r.Hits) > 0 {
		t.Errorf("a still row: %v %v", *r.Rate, r.Hits)
	}
	// However long the second was, the shares are exact.
	if r := p.Rows[1]; len(r.Hits) == 2 && (!same(r.Hits[1].Rate, 10*r.Hits[0].Rate) || !same(*r.Rate, 11*r.Hits[0].Rate)) {
		t.Errorf("the shares of the CPUs: %v of %v", r.Hits, *r.Rate)
	}
	if !near(p.CPUs[0].Rate, 100) || !near(p.CPUs[1].Rate, 1000) {
		t.Errorf("CPUs: %+v", p.CPUs)
	}
}

func TestSamplerSaysNothingOfACountThatBeganAnew(t *testing.T) {
	m := newMachine(t, fmt.Sprintf(twoCPUs, 5000, 5000))
	s := &Sampler{Root: m.root, Parts: host.PartList}
	next(t, s)
	s.shift()
	m.write(fmt.Sprintf(twoCPUs, 3, 5001))
	if r := next(t, s).Rows[1]; r.Rate != nil {
		t.Errorf("rate %v", *r.Rate)
	}
}

func TestSamplerSeesInterruptsComeGoAndChangeHands(t *testing.T) {
	table := fmt.Sprintf(twoCPUs, 1, 1)
	m := newMachine(t, table)
	s := &Sampler{Root: m.root, Parts: host.PartList}
	next(t, s)
	for _, c := range []struct {
		table string
		want  []string
	}{
		{strings.Replace(table, "LOC:", " 25:          0          0   PCI-MSI 1-edge      nvme\nLOC:", 1), []string{"rtc0", "ahci", "nvme"}},
		{strings.Replace(table, "ahci", "vfio-msi[0](0000:00:1f.2)", 1), []string{"rtc0", "vfio-msi[0](0000:00:1f.2)"}},
		{table, []string{"rtc0", "ahci"}},
		{"           CPU0\n  8:          1   IO-APIC    8-edge      rtc0\n", []string{"rtc0"}},
	} {
		s.shift()
		m.write(c.table)
		var got []string
		for _, r := range next(t, s).Rows {
			got = append(got, strings.Join(r.Handlers, "+"))
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestSamplerGoesOnAfterAnUnreadableMoment(t *testing.T) {
	m := newMachine(t, fmt.Sprintf(twoCPUs, 1, 1))
	s := &Sampler{Root: m.root, Parts: host.PartList}
	next(t, s)
	m.write("")
	if _, err := s.Next(t.Context()); err == nil {
		t.Error("no error for an empty file")
	}
	m.write(fmt.Sprintf(twoCPUs, 2, 1))
	if p := next(t, s); len(p.Rows) != 2 {
		t.Errorf("%d rows", len(p.Rows))
	}
}

func TestSamplerSaysThatNobodyAnswers(t *testing.T) {
	m := newMachine(t, fmt.Sprintf(twoCPUs, 1, 1))
	s := &Sampler{Root: m.root, Parts: host.PartList, Dial: func(context.Context) (*ivt.Client, error) { return nil, errors.New("refused") }}
	p := next(t, s)
	if p.Daemon != nil || len(p.Blind) == 0 || p.Blind[len(p.Blind)-1].What != Ours || p.Blind[len(p.Blind)-1].Why != "refused" {
		t.Errorf("%+v", p.Blind)
	}
}

func TestMergeDoesNotTouchTheKernelsRow(t *testing.T) {
	kernel := Row{Name: "irq:9", Aliases: []string{"pci:0000:3b:00.0/msix/2", "x"}, Node: -1}
	merge(kernel, Row{Name: "pci:0000:3b:00.0/msix/2", Holders: []irq.Holder{{Kind: irq.HolderProcess, PID: 7}}, State: irq.StateConnected})
	if d := cmp.Diff([]string{"pci:0000:3b:00.0/msix/2", "x"}, kernel.Aliases); d != "" {
		t.Error(d)
	}
}

func TestFilterChooses(t *testing.T) {
	row := Row{Name: "soft:demo/3", State: irq.StateConnected, Driver: "e1000e", Handlers: []string{"eth0-rx-3"}, CPUs: host.NewCPUSet(2),
		Holders: []irq.Holder{{Kind: irq.HolderProcess, PID: 4711, Command: "nicd", Unit: "nicd.service", Label: "Left"}}}
	for _, c := range []struct {
		name string
		f    Filter
		want bool
	}{
		{"nothing asked", Filter{CPU: -1}, true},
		{"held", Filter{CPU: -1, Held: true}, true},
		{"free", Filter{CPU: -1, Free: true}, false},
		{"its CPU", Filter{CPU: 2}, true},
		{"another CPU", Filter{CPU: 0}, false},
		{"its process", Filter{CPU: -1, PID: 4711}, true},
		{"another process", Filter{CPU: -1, PID: 1}, false},
		{"its unit, short", Filter{CPU: -1, Unit: "nicd"}, true},
		{"another unit", Filter{CPU: -1, Unit: "x"}, false},
		{"its handler", Filter{CPU: -1, Driver: "rx-3"}, true},
		{"text in a label, any case", Filter{CPU: -1, Text: "LEFT"}, true},
		{"text that is nowhere", Filter{CPU: -1, Text: "right"}, false},
	} {
		if got := c.f.Match(&row); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// What the sampler shows is what list shows of the same moment.
func TestSamplerAgreesWithTake(t *testing.T) {
	for _, name := range []string{"x86-6.1.tree", "x86-6.18.tree", "arm64.tree", "s390.tree", "powerpc.tree", "riscv.tree", "x86-4.9.tree"} {
		root := hosttest.Open(t, "../host/testdata/"+name)
		parts := host.PartList | host.PartCounts | host.PartAffinity | host.PartSystem
		want, err := Take(t.Context(), From{Root: root, Parts: parts})
		if err != nil {
			t.Fatal(err)
		}
		s := &Sampler{Root: root, Parts: parts}
		for turn := range 2 {
			got := next(t, s)
			for i := range got.Rows {
				got.Rows[i].Rate, got.Rows[i].Hits = nil, nil
			}
			if d := cmp.Diff(want.Rows, got.Rows); d != "" {
				t.Errorf("%s, picture %d: %s", name, turn, d)
			}
			if d := cmp.Diff(want.Blind, got.Blind); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}
