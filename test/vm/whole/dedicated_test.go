package whole

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// A holder with a thread of its own in read(2) of its eventfd: it is woken for each interrupt of the device, message or level, also
// after ivtd's worker was killed; Wait ends with its context, Handle with Disconnect, and no interrupt is lost by that.
func TestDedicatedThread(t *testing.T) {
	w := start(t, "edu0")
	address := guest.Device(t, "edu0")
	edu := guest.OpenEdu(t, address)
	for _, kind := range []string{"msi", "intx"} {
		c, err := w.client.Connect(t.Context(), "pci:"+address+"/"+kind+"/0", ivt.Dedicated())
		if err != nil {
			t.Fatal(err)
		}
		woken, handled := make(chan struct{}), make(chan error)
		serve := func(ivt.Interrupt) irq.Verdict {
			if edu.Raised() != 0 { // else it is a ring
				edu.Ack(1)
				woken <- struct{}{}
			}
			return irq.Handled
		}
		paced := func() {
			for range 20 {
				edu.Raise(1)
				select {
				case <-woken:
				case <-time.After(time.Minute):
					t.Fatalf("%s was slept through", kind)
				}
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { handled <- c.Handle(ctx, serve) }()
		paced()
		w.restart()
		paced()
		cancel()
		if err := <-handled; !errors.Is(err, irq.ErrCancelled) {
			t.Errorf("Handle: %v", err)
		}
		edu.Raise(1) // while nobody waits
		go func() { handled <- c.Handle(context.Background(), serve) }()
		<-woken
		paced()
		if err := c.Disconnect(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-handled; err != nil {
			t.Errorf("Handle: %v", err)
		}
	}
}
