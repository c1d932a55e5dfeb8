package daemon

import (
	"context"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// TestRule11StormsHaveAnOwner: a holder that says of 99,900 of 100,000 interrupts that they were not its own is
// masked and named; a productive flood of the same size is nobody's fault.
func TestRule11StormsHaveAnOwner(t *testing.T) {
	for _, verdict := range []irq.Verdict{irq.Unhandled, irq.Handled} {
		d := serve(t, "")
		c := d.connect("soft:demo/1", ivt.Label("the owner"))
		const batch = 50 // fewer than the stream's queue holds, so that each is a delivery of its own
		taken := make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		handled := make(chan error, 1)
		go func() {
			handled <- c.Handle(ctx, func(i ivt.Interrupt) irq.Verdict {
				if i.Sequence%batch == 0 {
					taken <- struct{}{}
				}
				return verdict
			})
		}()
		line := d.Registry().Source("soft:demo").Line("", 1)
		for n := 0; n < 101_000 && d.Registry().Stats().Storms == 0; n += batch {
			for range batch {
				line.Raise()
			}
			for waiting := true; waiting && d.Registry().Stats().Storms == 0; {
				select {
				case <-taken:
					waiting = false
				case <-time.After(20 * time.Millisecond): // held back by a storm, perhaps
				}
			}
		}
		cancel()
		<-handled
		if verdict == irq.Handled {
			if n := d.Registry().Stats().Storms; n != 0 {
				t.Errorf("a productive flood is a storm: %d", n)
			}
			continue
		}
		eventually(t, "the storm is in the history, with its owner", func() bool {
			for e, err := range d.client.History(t.Context(), "soft:demo/1", noTime) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Kind == irq.EventStorm {
					return e.Holder != nil && e.Holder.Label == "the owner"
				}
			}
			return false
		})
	}
}
