package host_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/hosttest"
)

// large opens the 1,152-CPU file.
func large(b *testing.B) *host.Root {
	b.Helper()
	text := hosttest.Large(b)
	r, err := host.OpenReader("large", bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	return r
}

func benchmark(b *testing.B, r *host.Root, parts host.Parts) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Read(context.Background(), host.Options{Parts: parts}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLargeList(b *testing.B)   { benchmark(b, large(b), host.PartList) }
func BenchmarkLargeCounts(b *testing.B) { benchmark(b, large(b), host.PartList|host.PartCounts) }

func BenchmarkLiveInterrupts(b *testing.B) { benchmark(b, live(b), 0) }
func BenchmarkLiveList(b *testing.B)       { benchmark(b, live(b), host.PartList) }
func BenchmarkLiveHolders(b *testing.B)    { benchmark(b, live(b), host.PartHolders) }
func BenchmarkLiveAll(b *testing.B)        { benchmark(b, live(b), host.PartAll) }

func BenchmarkLiveIRQHolder(b *testing.B) {
	r := live(b)
	t, err := r.Interrupts()
	if err != nil || len(t.Rows) == 0 || t.Rows[0].Number < 0 {
		b.Skip("no irq here; try: a machine with one", err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.IRQHolder(context.Background(), t.Rows[0].Number); err != nil {
			b.Fatal(err)
		}
	}
}
