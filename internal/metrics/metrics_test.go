package metrics

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/internal/version"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/irq/irqtest"
)

var update = flag.Bool("update", false, "write the golden files")

func handled(irq.Interrupt) irq.Verdict { return irq.Handled }

func request(pid int, vectors ...irq.Vector) irq.Request {
	return irq.Request{Vectors: vectors, Handler: handled, Holder: irq.Holder{Kind: irq.HolderProcess, PID: pid, StartTime: uint64(pid), Label: "secret"}}
}

// busy is a registry in which some things have happened.
func busy(t *testing.T) *irqtest.Bench {
	b := irqtest.New(t)
	if _, err := b.Connect(t.Context(), request(100, b.Vector(3))); err != nil {
		t.Fatal(err)
	}
	b.Raise(b.Vector(3), 5)
	for range 2 {
		if _, err := b.Connect(t.Context(), request(101, b.Vector(3))); !errors.Is(err, irq.ErrAlreadyConnected) {
			t.Fatal(err)
		}
	}
	stormy := request(102, b.Vector(4))
	stormy.Handler = func(irq.Interrupt) irq.Verdict { return irq.Unhandled }
	if _, err := b.Connect(t.Context(), stormy); err != nil {
		t.Fatal(err)
	}
	if !b.Storm(b.Vector(4)) {
		t.Fatal("no storm")
	}
	return b
}

func text(t *testing.T, all ...Collector) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, all...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, `version="`+version.String()+`"`, `version="test"`)
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), go test -update writes it:\n%s", file, diff)
	}
}

var served = Server{Sessions: 3, Workers: 2, Adopted: 7, Ended: 1}

func TestDaemonText(t *testing.T) {
	got := text(t, Daemon(busy(t), func() Server { return served }))
	golden(t, "daemon.prom", got)
	if strings.Contains(got, "secret") {
		t.Error("a holder's label is in it")
	}
}

func aPicture() *picture.Picture {
	total, wired := uint64(12345678901), uint64(42)
	return &picture.Picture{
		Machine: &host.Machine{Columns: []int{0, 2}},
		Daemon:  &ivt.Status{Vectors: 64, Connections: 1, Sessions: 1, Sequence: 9, Refusals: map[string]int{"763": 4}},
		Rows: []picture.Row{
			{Name: "irq:0", Timer: true, Total: &wired, Handlers: []string{"timer"}, Holders: []irq.Holder{{Kind: irq.HolderKernel}}, Counts: []uint32{40, 2}},
			{Name: "pci:0000:3b:00.0/msix/2", IRQ: 36, Total: &total, Driver: "vfio-pci", Handlers: []string{"vfio-msix[2](0000:3b:00.0)"}, Managed: true,
				Holders: []irq.Holder{{Kind: irq.HolderProcess, PID: 7}}, Counts: []uint32{1, 2}},
			{Name: "soft:demo/3", Managed: true, Source: "soft:demo", Total: &wired, Masked: true, Waiting: 2, Holders: []irq.Holder{{Kind: irq.HolderProcess, PID: 7}}},
			{Name: "soft:demo/4", Managed: true, Source: "soft:demo", Total: &wired},
		},
	}
}

func TestMachineText(t *testing.T) {
	found := []Finding{{"unhandled", "warning"}, {"nobody-cared", "serious"}, {"unhandled", "warning"}}
	golden(t, "machine.prom", text(t, Machine(aPicture(), found, true)))
}

// TestMachineWithoutDaemon has ivt_up 0, and says nothing else of ivtd.
func TestMachineWithoutDaemon(t *testing.T) {
	p := aPicture()
	p.Daemon, p.Rows = nil, p.Rows[:1]
	got := text(t, Machine(p, nil, false))
	if !strings.Contains(got, "ivt_up 0\n") || strings.Contains(got, "ivt_connections") || strings.Contains(got, "cpu=") {
		t.Errorf("got\n%s", got)
	}
}

// TestPrometheusConventions asks Prometheus' own tool.
func TestPrometheusConventions(t *testing.T) {
	tool := program(t, "promtool")
	for _, name := range []string{"daemon.prom", "machine.prom"} {
		in, err := os.Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), tool, "check", "metrics")
		c.Stdin = in
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		in.Close()
	}
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	cure := "apt-get install " + map[string]string{"promtool": "prometheus", "systemd-analyze": "systemd"}[name]
	if os.Getenv("CI") == "true" {
		t.Fatalf("no %s; try: %s", name, cure)
	}
	t.Skipf("no %s; try: %s", name, cure)
	return ""
}

// TestBoundedCardinality: a million vectors of which ten thousand are held have 16,028 series: those of the first 2,000, and the totals.
func TestBoundedCardinality(t *testing.T) {
	b := irqtest.New(t, irq.Group{Count: 1_000_000, Maskable: true})
	hold := func(from, to int) {
		t.Helper()
		for from < to { // a request has a bounded number of vectors
			var vectors []irq.Vector
			for ; from < to && len(vectors) < 500; from++ {
				vectors = append(vectors, irq.Vector{Source: "soft:test", Index: from})
			}
			if _, err := b.Connect(context.Background(), request(100, vectors...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	perVector, codes, ofSource, others := 8, 11, 5, 12
	want := perVector*MostVectors + codes + ofSource + others
	if want != 16028 {
		t.Errorf("the documentation says 16,028 series, it is %d", want)
	}
	const held = 10000
	hold(0, held)
	if n, beyond := series(t, b); n != want || beyond != held-MostVectors {
		t.Errorf("%d series, want %d; %v vectors beyond", n, want, beyond)
	}
}

func series(t *testing.T, r Registry) (n int, beyond float64) {
	t.Helper()
	for l := range strings.Lines(text(t, Daemon(r, nil))) {
		if strings.HasPrefix(l, "#") {
			continue
		}
		n++
		if value, ok := strings.CutPrefix(l, "ivt_vectors_without_series "); ok {
			if _, err := fmt.Sscan(value, &beyond); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n, beyond
}

// TestHostileLabelsAreHarmless: the kernel shows names that drivers chose, whatever they are.
func TestHostileLabelsAreHarmless(t *testing.T) {
	for _, name := range []string{"\x1b[2Jcleared", "a\"} 1\nivt_up 0", "\u202egnp.exe", "\xff\xfe", "\x00", strings.Repeat("é", 5000), `\`, "<script>"} {
		n := uint64(1)
		p := &picture.Picture{Machine: &host.Machine{}, Rows: []picture.Row{{Name: "irq:9", IRQ: 9, Total: &n, Driver: name, Handlers: []string{name}}}}
		got := text(t, Machine(p, nil, false))
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\x00\u202e") || strings.Count(got, "\nivt_up ") != 1 || len(got) > 10000 {
			t.Errorf("%.20q became\n%s", name, got)
		}
		if tool, err := exec.LookPath("promtool"); err == nil {
			c := exec.CommandContext(t.Context(), tool, "check", "metrics")
			c.Stdin = strings.NewReader(got)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%.20q: %v\n%s", name, err, out)
			}
		}
	}
}

// BenchmarkScrape of a million vectors of which ten thousand are held.
func BenchmarkScrape(b *testing.B) {
	bench := irqtest.New(b, irq.Group{Count: 1_000_000, Maskable: true})
	for from := 0; from < 10000; from += 500 {
		var vectors []irq.Vector
		for i := range 500 {
			vectors = append(vectors, irq.Vector{Source: "soft:test", Index: from + i})
		}
		if _, err := bench.Connect(context.Background(), request(100, vectors...)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		var out bytes.Buffer
		if err := Write(&out, Daemon(bench, nil)); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(out.Len()), "bytes")
	}
}
