package daemon

import (
	"context"
	"fmt"
	"testing"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
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

// TestWatchersAreToldAll: what comes fast is sent together, to each of many watchers, everything, in order; a watcher of one source
// gets that alone.
func TestWatchersAreToldAll(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=8\n[soft.other]\nvectors=8\n")
	const events, watchers = 600, 8
	type end struct {
		last, n uint64
		err     error
	}
	ready, ends := make(chan uint64, watchers), make(chan end, watchers)
	for i := range watchers {
		source := []string{"", "soft:other"}[i%2]
		go func() {
			var e end
			for u, err := range ivt.Watch(t.Context(), source, 0, ivt.Socket(d.socket)) {
				switch {
				case err != nil:
					e.err = err
				case u.Ready:
					ready <- u.Sequence
					e.last = u.Sequence
				case u.Event == nil || u.Lost > 0 || u.Event.Sequence <= e.last || source == "" && u.Event.Sequence != e.last+1:
					e.err = fmt.Errorf("%+v after %d", u, e.last)
				default:
					e.last, e.n = u.Event.Sequence, e.n+1
				}
				if e.err != nil || u.Event != nil && u.Event.Kind == irq.EventDisconnected && u.Event.Vector.Source == "soft:other" {
					break
				}
			}
			ends <- e
		}()
	}
	for range watchers {
		<-ready
	}
	c := d.connect("soft:demo/1")
	for i := range events {
		turn := []func(context.Context, irq.Vector) error{c.Mask, c.Unmask}[i%2]
		if err := turn(t.Context(), c.Vectors()[0]); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.connect("soft:other/1").Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range watchers {
		if e := <-ends; e.err != nil || e.n != 2 && e.n != events+3 {
			t.Errorf("%d events, the last is %d: %v", e.n, e.last, e.err)
		}
	}
}
