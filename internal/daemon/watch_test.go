package daemon

import (
	"testing"

	"github.com/ivtd/ivt"
)

// TestWatchSaysWhatItMissed: events that fell out of the ring are counted.
func TestWatchSaysWhatItMissed(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=8\n[limits]\nhistory=16\n")
	for range 50 {
		if err := d.connect("soft:demo/1").Disconnect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	last := d.Registry().Stats().Sequence
	seen := uint64(1)
	for u, err := range ivt.Watch(t.Context(), "", 1, ivt.Socket(d.socket)) {
		if err != nil {
			t.Fatal(err)
		}
		if u.Event == nil {
			continue
		}
		if seen += u.Lost + 1; u.Event.Sequence != seen {
			t.Fatalf("event %d, told of %d lost, after %d", u.Event.Sequence, u.Lost, seen-u.Lost-1)
		}
		if seen == last {
			return
		}
	}
}
