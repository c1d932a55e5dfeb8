package page

import (
	"bytes"
	"compress/bzip2"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt/internal/host"
)

// BenchmarkPage is one picture a second of a machine with 1,152 CPUs for one viewer, reading, rates and frames: processor
// time of the whole process as a share of a core, and what goes to the viewer. Everything that ever fired fires again.
func BenchmarkPage(b *testing.B) {
	f, err := os.Open("../../../shared/captures/pcp/interrupts-1152cpu-x86_64.bz2")
	if err != nil {
		b.Skip("no large capture here: ", err)
	}
	defer f.Close()
	table, err := io.ReadAll(bzip2.NewReader(f))
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	now := filepath.Join(dir, "proc/interrupts")
	if err := os.Mkdir(filepath.Dir(now), 0o755); err != nil {
		b.Fatal(err)
	}
	const turns = 5
	for turn := range turns {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(turn)), advanced(table, byte('1'+turn)), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	n := 0
	advance := func() {
		if err := os.Link(filepath.Join(dir, fmt.Sprint(n%turns)), now+"~"); err != nil {
			b.Fatal(err)
		}
		if err := os.Rename(now+"~", now); err != nil {
			b.Fatal(err)
		}
		n++
	}
	advance()
	root, err := host.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	h := newHub(&Machine{Root: root, Alone: true, Interval: time.Nanosecond}, time.Second)
	v := h.join()
	bytes := 0
	once := func() {
		advance()
		h.once(context.Background())
		m := <-v.queue
		bytes += len(m.data)
		if m.event != "frame" {
			b.Fatalf("%s: %s", m.event, m.data)
		}
	}
	once()
	bytes = 0
	before := processorTime(b)
	for b.Loop() {
		once()
	}
	used := processorTime(b) - before
	b.ReportMetric(100*used.Seconds()/float64(b.N), "%core-at-1s")
	b.ReportMetric(float64(bytes)/float64(b.N), "bytes/frame")
	b.ReportMetric(float64(len(h.frames.known)), "rows")
}

// advanced sets the last digit of each count that is not 0.
func advanced(table []byte, unit byte) []byte {
	out := bytes.Clone(table)
	any, number := false, false
	for i, c := range out {
		switch {
		case c == ' ' && number && any:
			out[i-1] = unit
			fallthrough
		case c == ' ':
			any, number = false, true
		case c >= '0' && c <= '9':
			any = any || c != '0'
		default:
			number = false
		}
	}
	return out
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
