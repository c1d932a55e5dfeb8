package picture

import (
	"compress/bzip2"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt/internal/host"
)

// BenchmarkSample is one picture a second of a machine with 1,152 CPUs, beside the file and after the first:
// processor time of the whole process, as a share of a core.
func BenchmarkSample(b *testing.B) {
	f, err := os.Open("../../../shared/captures/pcp/interrupts-1152cpu-x86_64.bz2")
	if err != nil {
		b.Skip("no large capture here: ", err)
	}
	defer f.Close()
	table, err := io.ReadAll(bzip2.NewReader(f))
	if err != nil {
		b.Fatal(err)
	}
	m := newMachine(b, string(table))
	s := &Sampler{Root: m.root, Parts: host.PartList}
	if _, err := s.Next(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(table)))
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		if _, err := s.Next(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	used := processorTime(b) - before
	b.ReportMetric(100*used.Seconds()/float64(b.N), "%core-at-1s")
	b.ReportMetric(float64(len(s.rows)), "rows")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
