//go:build linux

package source

import (
	"math"
	"testing"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// O_NONBLOCK and the count of an eventfd belong to whoever has a copy: a holder may set the one either way and fill the other.
// Nobody but the kernel writes it and nobody but the holder reads it, so that delays nobody: its vector goes on, and to the next.
func TestVMFullEventfdBlocksNobody(t *testing.T) {
	for _, kind := range []string{"msi", "intx"} {
		for name, flag := range map[string]func(int) error{"blocking": kernel.SetBlocking, "nonblocking": kernel.SetNonblock} {
			t.Run(kind+" "+name, func(t *testing.T) {
				asBefore(t)
				b, address := openPCI(t, "edu0", map[string]any{"interrupts": kind})
				side, v := eduHardware(t, address), b.vector(kind, 0)
				for round := range 3 {
					g := b.connect(v)
					if round > 0 { // rung, as all who come after somebody
						g.count()
					}
					if err := flag(g.FD); err != nil {
						t.Fatal(err)
					}
					side.paced(t, g, 3)
					if err := kernel.WriteEventfd(g.FD, math.MaxUint64-1); err != nil {
						t.Fatal(err)
					}
					for range 3 {
						side.raise()
						side.ack()
					}
					if n, err := b.source.(Unreader).Unread(irq.Claim{Vector: v, Connection: g.conn.ID(), Generation: g.conn.Generation()}); n < math.MaxUint64-1 || err != nil {
						t.Errorf("%d unread, %v", n, err)
					}
					g.disconnect()
				}
			})
		}
	}
}
