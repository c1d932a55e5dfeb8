package chaos

//vm:program ./cmd/ivtd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/chaos/witness"
)

// Words of the witness's memory.
const (
	atStop   = witness.Free + iota // clients are to end
	atCalls                        // calls of all clients
	atGrants                       // of these, how many were granted a vector
	atFailed                       // calls that ended as none may
	atLost                         // connections that were over before they were let go
	atRung   = 64                  // of each driver: the last interrupt that its device was told to raise
	atSeen   = 128                 // what it had read there when it was last woken
)

// TestMain is also the processes of the test.
func TestMain(m *testing.M) {
	role := os.Getenv("CHAOS_ROLE")
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(role); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", role, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func play(role string) error {
	w, err := witness.Open(os.Getenv("CHAOS_WITNESS"))
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(os.Getenv("CHAOS_NUMBER"))
	if err != nil {
		return err
	}
	c, err := ivt.NewClient()
	if err != nil {
		return err
	}
	if role == "driver" {
		return drive(c, w, n, os.Getenv("CHAOS_VECTOR"))
	}
	return contend(c, w, uint64(n))
}

// drive holds one vector for good, and notes what was raised when it was woken.
func drive(c *ivt.Client, w *witness.Witness, n int, vector string) error {
	k, err := c.Connect(context.Background(), vector)
	if err != nil {
		return err
	}
	for {
		w.Word(atSeen + n).Store(w.Word(atRung + n).Load())
		if _, err := k.Wait(context.Background()); err != nil {
			w.Word(atLost).Add(1)
			return fmt.Errorf("%s: %w", vector, err)
		}
	}
}

// contended are the vectors that clients take from each other; 0 to 3 are the e1000e's, 4 to 7 the ivshmem's, 8 is the second edu's.
func contended() []string {
	var all []string
	for v := range 4 {
		all = append(all, fmt.Sprintf("pci:%s/msix/%d", os.Getenv("CHAOS_NIC"), v))
	}
	for v := range 4 {
		all = append(all, fmt.Sprintf("pci:%s/msix/%d", os.Getenv("CHAOS_IVSHMEM"), v))
	}
	return append(all, fmt.Sprintf("pci:%s/msi/0", os.Getenv("CHAOS_EDU")))
}

// contend takes vectors and lets them go, until it is told to stop, or killed.
func contend(c *ivt.Client, w *witness.Witness, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 0))
	names := contended()
	for w.Word(atStop).Load() == 0 {
		v := r.IntN(len(names))
		w.Word(atCalls).Add(1)
		var options []ivt.Option
		if r.IntN(3) == 0 {
			options = append(options, ivt.WaitFor(200*time.Millisecond))
		}
		k, err := c.Connect(context.Background(), names[v], options...)
		if err != nil {
			expect(w, err)
			continue
		}
		w.Word(atGrants).Add(1)
		claim := w.Own(v, k)
		if r.IntN(2) == 0 { // with an interrupt, if one comes
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(20))*time.Millisecond)
			_, err := k.Wait(ctx)
			cancel()
			if !errors.Is(err, irq.ErrTimeout) {
				expect(w, err)
			}
		}
		w.Disown(v, claim, k)
		if err := k.Disconnect(context.Background()); errors.Is(err, irq.ErrNotConnected) {
			w.Word(atLost).Add(1)
			fmt.Fprintln(os.Stderr, "lost:", err)
		} else {
			expect(w, err)
		}
	}
	return nil
}

// expect counts errors that nobody should see.
func expect(w *witness.Witness, err error) {
	for _, may := range []error{nil, irq.ErrAlreadyConnected, irq.ErrStillConnected, irq.ErrTimeout} {
		if errors.Is(err, may) {
			return
		}
	}
	if w.Word(atFailed).Add(1) < 20 {
		fmt.Fprintln(os.Stderr, "client:", err)
	}
}
