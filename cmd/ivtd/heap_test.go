package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// The more lives, the smaller the part by which the heap may grow: it is slack, and no less than a fifth.
func TestSlackOfTheHeap(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 1 << 20: 100, 4 << 20: 100, 8 << 20: 50, 16 << 20: 25, 20 << 20: 20, 1 << 40: 20} {
		if got := percentFor(live); got != want {
			t.Errorf("of %d bytes: GOGC %d, want %d", live, got, want)
		}
	}
}

// GOGC follows what lives, collection by collection.
func TestHeapIsKeptSmall(t *testing.T) {
	defer debug.SetGCPercent(100)
	t.Setenv("GOGC", "")
	thrifty()
	kept := make([]byte, 64<<20)
	follows(t, leastPercent)
	runtime.KeepAlive(kept)
	kept = nil
	follows(t, mostPercent)
}

// follows collects until GOGC is as wanted.
func follows(t *testing.T, want int) {
	t.Helper()
	for range 10_000 {
		runtime.GC()
		percent := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		if metrics.Read(percent); percent[0].Value.Uint64() == uint64(want) {
			return
		}
	}
	t.Errorf("GOGC is not %d", want)
}
