package picture

import (
	"testing"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/hosttest"
)

// BenchmarkSample is one picture a second of a machine with 1,152 CPUs, beside the file and after the first:
// processor time of the whole process, as a share of a core.
func BenchmarkSample(b *testing.B) {
	table := hosttest.Large(b)
	m := newMachine(b, string(table))
	s := &Sampler{Root: m.root, Parts: host.PartList}
	if _, err := s.Next(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(table)))
	b.ReportAllocs()
	before := hosttest.ProcessorTime(b)
	for b.Loop() {
		if _, err := s.Next(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	used := hosttest.ProcessorTime(b) - before
	b.ReportMetric(100*used.Seconds()/float64(b.N), "%core-at-1s")
	b.ReportMetric(float64(len(s.rows)), "rows")
}
