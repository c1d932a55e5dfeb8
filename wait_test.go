//go:build linux

package ivt_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// styles are both ways of waiting; whatever a connection promises holds in both, for one vector and for several.
var styles = []struct {
	name    string
	vectors []string
	options []ivt.Option
}{
	{"polled", []string{"soft:demo/1"}, nil},
	{"polled, several", []string{"soft:demo/1", "soft:demo/2", "soft:demo/3"}, nil},
	{"dedicated", []string{"soft:demo/1"}, []ivt.Option{ivt.Dedicated()}},
	{"polled, by eventfd", []string{"wired:demo/1"}, nil},
	{"dedicated, by eventfd", []string{"wired:demo/1"}, []ivt.Option{ivt.Dedicated()}},
	{"dedicated, several by eventfd", []string{"wired:demo/1", "wired:demo/2"}, []ivt.Option{ivt.Dedicated()}},
	{"dedicated, several", []string{"soft:demo/1", "soft:demo/2"}, []ivt.Option{ivt.Dedicated()}},
}

func eachStyle(t *testing.T, do func(t *testing.T, d *served, c *ivt.Connection)) {
	for _, s := range styles {
		t.Run(s.name, func(t *testing.T) {
			d := serve(t)
			c, err := d.client.ConnectAll(t.Context(), s.vectors, s.options...)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Disconnect(context.Background())
			do(t, d, c)
		})
	}
}

// patience is for what must not happen for ever.
func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestEveryInterruptArrives(t *testing.T) {
	eachStyle(t, func(t *testing.T, d *served, c *ivt.Connection) {
		const each = 500
		var raising sync.WaitGroup
		for _, v := range c.Vectors() {
			raising.Go(func() {
				for range each {
					d.raise(t, v.String(), 1)
				}
			})
		}
		defer raising.Wait()
		got := map[irq.Vector]uint64{}
		for total := uint64(0); total < each*uint64(len(c.Vectors())); {
			i, err := c.Wait(patience(t))
			if err != nil {
				t.Fatal(err)
			}
			got[i.Vector] += i.Count
			total += i.Count
			if i.Arrived != got[i.Vector] || i.Vector != c.Vectors()[i.Slot] {
				t.Errorf("%+v after %d", i, got[i.Vector])
			}
		}
		for v, n := range got {
			if n != each {
				t.Errorf("%s: %d interrupts", v, n)
			}
		}
	})
}

func TestContextEndsWait(t *testing.T) {
	eachStyle(t, func(t *testing.T, d *served, c *ivt.Connection) {
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.Wait(short); !errors.Is(err, irq.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Wait(cancelled); !errors.Is(err, irq.ErrCancelled) {
			t.Errorf("got %v", err)
		}
		d.raise(t, c.Vectors()[0].String(), 1) // and the connection is as good as before
		if i, err := c.Wait(patience(t)); err != nil || i.Count != 1 {
			t.Errorf("%+v, %v", i, err)
		}
	})
}

func TestDisconnectEndsWait(t *testing.T) {
	eachStyle(t, func(t *testing.T, d *served, c *ivt.Connection) {
		waited := make(chan error)
		go func() {
			_, err := c.Wait(context.Background())
			waited <- err
		}()
		handled := make(chan error)
		go func() {
			handled <- c.Handle(context.Background(), func(ivt.Interrupt) irq.Verdict { return irq.Handled })
		}()
		if err := c.Disconnect(patience(t)); err != nil {
			t.Error(err)
		}
		if err := <-waited; !errors.Is(err, irq.ErrNotConnected) {
			t.Errorf("Wait: %v", err)
		}
		if err := <-handled; err != nil && !errors.Is(err, irq.ErrNotConnected) {
			t.Errorf("Handle: %v", err)
		}
	})
}

func TestRevocationEndsWait(t *testing.T) {
	eachStyle(t, func(t *testing.T, d *served, c *ivt.Connection) {
		waited := make(chan error)
		go func() {
			_, err := c.Wait(context.Background())
			waited <- err
		}()
		if err := d.client.Revoke(t.Context(), c.ID(), 0, "for the test"); err != nil {
			t.Fatal(err)
		}
		err := <-waited
		var e *irq.Error
		if !errors.As(err, &e) || e.Reason != irq.ReasonRevoked || e.Detail != "for the test" {
			t.Errorf("got %v", err)
		}
		<-c.Done()
		if _, err := c.Wait(patience(t)); !errors.Is(err, irq.ErrNotConnected) {
			t.Errorf("a later Wait: %v", err)
		}
	})
}

// TestHangUpEndsWait: ivtd is gone, with the lifeline, and the connection is over with that reason.
func TestHangUpEndsWait(t *testing.T) {
	eachStyle(t, func(t *testing.T, d *served, c *ivt.Connection) {
		waiting, waited := make(chan struct{}), make(chan error)
		go func() {
			close(waiting)
			_, err := c.Wait(context.Background())
			waited <- err
		}()
		<-waiting
		if err := d.Close(patience(t)); err != nil {
			t.Fatal(err)
		}
		var e *irq.Error
		if err := <-waited; !errors.Is(err, irq.ErrNotConnected) || !errors.As(err, &e) || e.Reason != irq.ReasonClosed {
			t.Errorf("got %v", err)
		}
	})
}

func TestHandlerMayDisconnect(t *testing.T) {
	eachStyle(t, func(t *testing.T, d *served, c *ivt.Connection) {
		d.raise(t, c.Vectors()[0].String(), 1)
		calls := 0
		err := c.Handle(patience(t), func(ivt.Interrupt) irq.Verdict {
			calls++
			if err := c.Disconnect(patience(t)); err != nil {
				t.Error(err)
			}
			return irq.Handled
		})
		if err != nil || calls != 1 {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}

// TestLevel: the line fires again only after the acknowledgement, given by the verdict or later.
func TestLevel(t *testing.T) {
	for _, options := range [][]ivt.Option{nil, {ivt.Dedicated()}} {
		d := serve(t)
		c := d.connect(t, "soft:level/0", options...)
		d.raise(t, "soft:level/0", 1)
		first, err := c.Wait(patience(t))
		if err != nil || !first.Level {
			t.Fatal(first, err)
		}
		d.raise(t, "soft:level/0", 1)
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if i, err := c.Wait(short); !errors.Is(err, irq.ErrTimeout) {
			t.Errorf("fired while masked: %+v, %v", i, err)
		}
		cancel()
		if err := c.Ack(first, true); err != nil {
			t.Fatal(err)
		}
		n := 0
		for i, err := range c.Interrupts(patience(t)) { // acknowledges
			if err != nil || i.Count != 1 {
				t.Fatal(i, err)
			}
			if n++; n == 3 {
				break
			}
			d.raise(t, "soft:level/0", 1)
		}
		if info, err := d.client.Lookup(t.Context(), "soft:level/0"); err != nil || info.Unhandled != 0 || info.Arrived != 4 {
			t.Errorf("%+v, %v", info, err)
		}
	}
}

// TestUnhandledIsCounted: a verdict of irq.Unhandled reaches the registry (rule 11).
func TestUnhandledIsCounted(t *testing.T) {
	for _, vector := range []string{"soft:level/0", "soft:demo/1"} {
		d := serve(t)
		c := d.connect(t, vector)
		handled := make(chan error)
		verdicts := make(chan irq.Verdict, 3)
		go func() {
			handled <- c.Handle(patience(t), func(ivt.Interrupt) irq.Verdict { return <-verdicts })
		}()
		for n := range uint64(2) {
			verdicts <- irq.Unhandled
			d.raise(t, vector, 1)
			eventually(t, func() bool {
				info, err := d.client.Lookup(t.Context(), vector)
				return err == nil && info.Unhandled == n+1
			})
		}
		verdicts <- irq.Done
		d.raise(t, vector, 1)
		if err := <-handled; err != nil {
			t.Fatal(err)
		}
	}
}

func TestDoorbell(t *testing.T) {
	d := serve(t)
	c := d.connect(t, "soft:demo/1")
	bell, err := d.client.OpenDoorbell(t.Context(), "soft:demo/1")
	if err != nil {
		t.Fatal(err)
	}
	defer bell.Close()
	for range 3 {
		if err := bell.Ring(2); err != nil {
			t.Fatal(err)
		}
	}
	for total := uint64(0); total < 6; {
		i, err := c.Wait(patience(t))
		if err != nil {
			t.Fatal(err)
		}
		total += i.Count
	}
	if err := d.client.Detach(t.Context(), "soft:demo", true); err != nil {
		t.Fatal(err)
	}
	if err := bell.Ring(1); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("after its source left: %v", err)
	}
}

// TestManyVectors: a connection whose descriptors take several messages.
func TestManyVectors(t *testing.T) {
	d := serve(t)
	c, err := d.client.Connect(t.Context(), "soft:many", ivt.Any(1000))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(c.Vectors()); got != 1000 {
		t.Fatalf("%d vectors", got)
	}
	d.raise(t, "soft:many/999", 1)
	if i, err := c.Wait(patience(t)); err != nil || i.Vector.Index != 999 || i.Slot != 999 {
		t.Errorf("%+v, %v", i, err)
	}
	if err := c.Disconnect(t.Context()); err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in 20 s")
		}
	}
}
