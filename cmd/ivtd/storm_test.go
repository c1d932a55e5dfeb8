package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// storm rings a doorbell that the driver itself holds and says each time that it was not its own, until ivtd holds the doorbell back. It
// returns what the history says of that.
func storm(ctx context.Context, client *ivt.Client, c *ivt.Connection) (w word, err error) {
	vector := c.Vectors()[0].String()
	bell, err := client.OpenDoorbell(ctx, vector)
	if err != nil {
		return w, err
	}
	defer bell.Close()
	before := len(storms(ctx, client, vector))
	ctx, cancel := context.WithCancel(ctx)
	taken, done := make(chan uint64, 1), make(chan error, 1)
	go func() {
		done <- c.Handle(ctx, func(i ivt.Interrupt) irq.Verdict {
			select {
			case taken <- i.Sequence:
			case <-taken:
				taken <- i.Sequence
			}
			return irq.Unhandled
		})
	}()
	defer func() { cancel(); <-done }()
	for at := uint64(0); ; {
		for range 4 { // a delivery each, for the stream has room
			if err := bell.Ring(1); err != nil {
				return w, err
			}
		}
		select {
		case at = <-taken:
		case <-time.After(20 * time.Millisecond): // held back by a storm, perhaps
			if all := storms(ctx, client, vector); len(all) > before {
				return word{Sequence: at, Vector: all[len(all)-1]}, nil
			}
		case <-ctx.Done():
			return w, ctx.Err()
		}
	}
}

func storms(ctx context.Context, client *ivt.Client, vector string) (details []string) {
	for e, err := range client.History(ctx, vector, time.Time{}) {
		if err == nil && e.Kind == irq.EventStorm {
			details = append(details, e.Detail)
		}
	}
	return details
}

// TestRule11BackOffSurvives: whoever was held back for a storm is not a newcomer to the next worker: the second storm is answered
// with the second pause.
func TestRule11BackOffSurvives(t *testing.T) {
	r := start(t, demo)
	d := r.driver()
	d.connect("soft:demo/5")
	for _, pause := range []string{"50ms", "100ms"} {
		if got := d.do(word{Do: "storm"}).Vector; !strings.HasSuffix(got, "tried again in "+pause) {
			t.Fatalf("ivtd says %q, want a pause of %s", got, pause)
		}
		d.do(word{Do: "mask"})
		d.do(word{Do: "unmask"})
		r.killWorker()
	}
}
