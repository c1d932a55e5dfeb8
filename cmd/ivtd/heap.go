package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
)

// What ivtd keeps lives for hours, and what a call leaves is little: so its heap is not collected when it has doubled, which
// is Go's way, but when it has grown by slack.
const (
	slack        = 4 << 20
	mostPercent  = 100 // GOGC, where little lives
	leastPercent = 20
	hurryPercent = 400
)

// hurry has less collected while a worker starts, since everybody waits for it and most of what it makes then stays.
func hurry() { debug.SetGCPercent(hurryPercent) }

// thrifty ends hurry and bounds the heap as said above, or as GOGC in the environment says.
func thrifty() {
	switch given, err := strconv.Atoi(os.Getenv("GOGC")); {
	case err == nil:
		debug.SetGCPercent(given)
	case os.Getenv("GOGC") == "off":
		debug.SetGCPercent(-1)
	default:
		debug.SetGCPercent(mostPercent)
		atNextCollection(mostPercent)
	}
}

// atNextCollection has GOGC set anew after each collection. What it leaves to be collected says when there was one.
func atNextCollection(percent int) {
	sign := new([64]byte) // smaller ones share a block with others, and outlive collections with them
	runtime.AddCleanup(sign, func(percent int) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if want := percentFor(live[0].Value.Uint64()); want*8 < percent*7 || want*7 > percent*8 { // to set it stops all goroutines
			debug.SetGCPercent(want)
			percent = want
		}
		atNextCollection(percent)
	}, percent)
}

// percentFor is the GOGC by which a heap of which so many bytes live grows by slack.
func percentFor(live uint64) int {
	return int(min(max(100*slack/max(live, 1), leastPercent), mostPercent))
}
