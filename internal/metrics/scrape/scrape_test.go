package scrape

import (
	"bytes"
	"io"
	"iter"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/metrics"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/irq"
)

// known is a registry with some vectors.
type known []irq.Info

func (k known) Stats() irq.Stats {
	return irq.Stats{Vectors: len(k), Storms: 1 << 60, Refusals: map[irq.Code]uint64{irq.ErrAlreadyConnected: 7}}
}

func (k known) List(string, irq.Vector) iter.Seq[irq.Info] { return slices.Values(k) }

func samples() map[string]metrics.Collector {
	var vectors known
	for i := range 30 {
		v := irq.Info{Vector: irq.Vector{Source: "soft:demo", Index: i}, Counted: true, Arrived: uint64(i) << i, Waiting: i % 3, Storm: i == 2}
		vectors = append(vectors, v)
	}
	p := &picture.Picture{Machine: &host.Machine{Columns: []int{0, 1, 10, 2}}, Daemon: &ivt.Status{Vectors: 3}}
	for i, name := range []string{"a", "a b", "a!", "a\"b", `a\b`, "a\nb", "\xff", "é", strings.Repeat("long ", 100), "aa", ""} {
		total := uint64(i) * 123456789012
		p.Rows = append(p.Rows, picture.Row{Name: "irq:1", IRQ: 1 + i, Total: &total, Driver: name, Handlers: []string{name, "b"}, Counts: []uint32{0, 1, 21, 1 << 31}})
	}
	findings := []metrics.Finding{{ID: "unhandled", Severity: "warning"}, {ID: "unhandled", Severity: "warning"}, {ID: "storm", Severity: "serious"}}
	return map[string]metrics.Collector{
		"daemon":  metrics.Daemon(vectors, func() metrics.Server { return metrics.Server{Sessions: 3, Workers: 2, Adopted: 7} }),
		"machine": metrics.Machine(p, findings, true),
	}
}

// TestWriteWritesWhatTheLibraryWrites, byte for byte.
func TestWriteWritesWhatTheLibraryWrites(t *testing.T) {
	for name, c := range samples() {
		families, err := registry([]metrics.Collector{c}).Gather()
		if err != nil {
			t.Fatal(err)
		}
		var want, got bytes.Buffer
		e := expfmt.NewEncoder(&want, expfmt.NewFormat(expfmt.TypeTextPlain))
		for _, f := range families {
			if err := e.Encode(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := metrics.Write(&got, c); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), got.String()); diff != "" {
			t.Errorf("%s (-library +ours):\n%s", name, diff)
		}
	}
}

// TestTheSameTwiceIsRefused by both: one series would hide the other.
func TestTheSameTwiceIsRefused(t *testing.T) {
	total := uint64(1)
	row := picture.Row{Name: "irq:9", IRQ: 9, Total: &total}
	c := metrics.Machine(&picture.Picture{Machine: &host.Machine{}, Rows: []picture.Row{row, row}}, nil, false)
	if _, err := registry([]metrics.Collector{c}).Gather(); err == nil {
		t.Error("the library takes it")
	}
	if err := metrics.Write(io.Discard, c); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("%v", err)
	}
}

// TestHandlerServes ours, and what there is to know of the process.
func TestHandlerServes(t *testing.T) {
	answer := httptest.NewRecorder()
	Handler(samples()["daemon"]).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{"ivt_vectors 30\n", "ivt_build_info{", "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("no %q in\n%.500s", want, answer.Body)
		}
	}
}
