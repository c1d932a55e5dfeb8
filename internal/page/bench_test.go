package page

import (
	"context"
	"testing"
	"time"

	"github.com/ivtd/ivt/internal/host/hosttest"
)

// BenchmarkPage is one picture a second of a machine with 1,152 CPUs for one viewer, reading, rates and frames: processor
// time of the whole process as a share of a core, and what goes to the viewer. Everything that ever fired fires again.
func BenchmarkPage(b *testing.B) {
	machine := hosttest.NewBusy(b, hosttest.Large(b))
	h := newHub(&Machine{Root: machine.Root, Alone: true, Interval: time.Nanosecond}, time.Second)
	v := h.join()
	bytes := 0
	once := func() {
		machine.Advance(b)
		h.once(context.Background())
		m := <-v.queue
		bytes += len(m.data)
		if m.event != "frame" {
			b.Fatalf("%s: %s", m.event, m.data)
		}
	}
	once()
	bytes = 0
	before := hosttest.ProcessorTime(b)
	for b.Loop() {
		once()
	}
	used := hosttest.ProcessorTime(b) - before
	b.ReportMetric(100*used.Seconds()/float64(b.N), "%core-at-1s")
	b.ReportMetric(float64(bytes)/float64(b.N), "bytes/frame")
	b.ReportMetric(float64(len(h.frames.known)), "rows")
}
