//go:build linux

package ivt_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// What ends the waiting for one eventfd is a count in that eventfd; TestEveryInterruptArrives and its like hold for it, too.

var wiredVector = irq.Vector{Source: "wired:demo", Index: 0}

// raiseWired does not go through ivtd, so it can be many times in the way of what ends a wait.
func raiseWired(t testing.TB, n uint64) {
	t.Helper()
	if err := wiring.Raise(wiredVector, n); err != nil {
		t.Error(err)
	}
}

// TestEndingAWaitLosesAndInventsNothing: an interrupt and the end of the wait come in every order and at the same time, and each
// interrupt is counted once.
func TestEndingAWaitLosesAndInventsNothing(t *testing.T) {
	d := serve(t)
	c := d.connect(t, wiredVector.String(), ivt.Dedicated())
	const all = 3000
	var total, ended uint64
	take := func(ctx context.Context) {
		i, err := c.Wait(ctx)
		if errors.Is(err, irq.ErrCancelled) {
			ended++
			return
		}
		if total += i.Count; err != nil || i.Count == 0 || i.Arrived != total {
			t.Fatalf("%+v after %d, %v", i, total, err)
		}
	}
	for range all {
		ctx, cancel := context.WithCancel(patience(t))
		var both sync.WaitGroup
		both.Go(func() { yields(rand.IntN(100)); raiseWired(t, 1) })
		both.Go(func() { yields(rand.IntN(20)); cancel() })
		take(ctx)
		both.Wait()
	}
	for total < all {
		take(patience(t))
	}
	t.Logf("%d interrupts, %d waits ended without one", total, ended)
	if total != all {
		t.Errorf("%d interrupts of %d", total, all)
	}
	nothingIn(t)
}

func yields(n int) {
	for range n {
		runtime.Gosched()
	}
}

// nothingIn looks whether something is left in the eventfd.
func nothingIn(t *testing.T) {
	t.Helper()
	err := wiring.with(wiredVector, func(fd int) error {
		n, err := kernel.EventfdCount(fd)
		if n != 0 {
			t.Errorf("%d are left in the eventfd", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestNonblockingIsNotMine: O_NONBLOCK is a flag of all copies of a descriptor. Whoever sets it, and whenever, changes nothing.
func TestNonblockingIsNotMine(t *testing.T) {
	d := serve(t)
	c := d.connect(t, wiredVector.String(), ivt.Dedicated())
	set := []func(int) error{kernel.SetNonblock, kernel.SetBlocking}
	turn := make(chan struct{})
	var setting sync.WaitGroup
	setting.Go(func() {
		for n := 0; ; n++ {
			if err := wiring.with(wiredVector, set[n%2]); err != nil {
				t.Error(err)
			}
			if _, more := <-turn; !more {
				return
			}
			raiseWired(t, 1)
		}
	})
	for range 200 {
		turn <- struct{}{}
		if i, err := c.Wait(patience(t)); err != nil || i.Count != 1 {
			t.Errorf("%+v, %v", i, err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Microsecond)
		if i, err := c.Wait(short); !errors.Is(err, irq.ErrTimeout) {
			t.Errorf("%+v, %v", i, err)
		}
		cancel()
	}
	close(turn)
	setting.Wait()
	nothingIn(t)
}

// TestNoThreadIsLeftBehind: neither a thread nor a descriptor of waits that were ended.
func TestNoThreadIsLeftBehind(t *testing.T) {
	d := serve(t)
	cycle := func() {
		c, err := d.client.Connect(t.Context(), wiredVector.String(), ivt.Dedicated())
		if err != nil {
			t.Fatal(err)
		}
		handled := make(chan error)
		entered := make(chan struct{}, 2) // it is rung where a vector had a holder before, so twice
		go func() {
			handled <- c.Handle(context.Background(), func(ivt.Interrupt) irq.Verdict {
				entered <- struct{}{}
				return irq.Handled
			})
		}()
		raiseWired(t, 1)
		<-entered
		if err := c.Disconnect(patience(t)); err != nil {
			t.Fatal(err)
		}
		if err := <-handled; err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		cycle()
	}
	threads, files := entries(t, "/proc/self/task"), entries(t, "/proc/self/fd")
	const cycles = 200
	for range cycles {
		cycle()
	}
	if now := entries(t, "/proc/self/task"); now > threads+cycles/2 { // the runtime keeps some, for others
		t.Errorf("%d threads, %d before", now, threads)
	}
	eventually(t, func() bool { return entries(t, "/proc/self/fd") <= files+cycles/2 })
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
