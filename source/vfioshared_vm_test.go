//go:build linux

package source

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// serveRecord reads one record of a shared line, serves the device and acknowledges.
func (d *wakeDriver) serveRecord(side hardware) bool {
	b := make([]byte, 64)
	n, _, err := unix.Recvfrom(d.g.FD, b, unix.MSG_DONTWAIT)
	if err == unix.EAGAIN {
		return true
	}
	r, err := record.Decode(b[:max(n, 0)])
	if err != nil {
		return false
	}
	side.ack()
	return kernel.Send(d.g.FD, record.Ack{Generation: r.Generation, Sequence: r.Sequence}.Append(nil)) == nil
}

// A shared line with two holders: nothing is lost or left masked when one of them acknowledges late, stops, dies or disconnects.
func TestVMRule8SharedLine(t *testing.T) {
	asBefore(t)
	b, address := openPCI(t, "edu2", map[string]any{"interrupts": "intx"}) // whose line four functions of the host share
	side := eduHardware(t, address)
	v := b.vector("intx", 0)
	one, two := b.connect(v, share), b.connect(v, share)

	// raiseAgain serves the device and raises again: that is seen only when the line is unmasked.
	unmasked := func(who ...*grip) {
		t.Helper()
		for range 5 {
			side.raise()
			for _, g := range who {
				r := g.next()
				side.ack()
				g.ack(r, record.Handled)
			}
			eventually(t, "the device was served", func() bool { return !side.raised() })
		}
	}
	unmasked(one, two)

	t.Run("one acknowledges late", func(t *testing.T) {
		side.raise()
		r1, r2 := one.next(), two.next()
		side.ack()
		one.ack(r1, record.Handled)
		side.raise() // while the line is masked
		if guest.Command(t, address)&guest.CommandINTxOff == 0 {
			t.Error("the line is not masked while one owes an acknowledgement")
		}
		one.none()
		two.ack(r2, record.Handled)
		for _, g := range []*grip{one, two} {
			r := g.next()
			side.ack()
			g.ack(r, record.Handled)
		}
		unmasked(one, two)
	})
	t.Run("one acknowledges twice, and what was never sent", func(t *testing.T) {
		side.raise()
		r1, r2 := one.next(), two.next()
		side.ack()
		one.ack(r1, record.Handled)
		one.ack(r1, record.Handled)
		one.ack(record.Record{Generation: r1.Generation, Sequence: r1.Sequence + 100}, record.Handled)
		side.raise()
		one.none()
		two.ack(r2, record.Handled)
		for _, g := range []*grip{one, two} {
			r := g.next()
			side.ack()
			g.ack(r, record.Handled)
		}
	})
	t.Run("one disconnects while it owes", func(t *testing.T) {
		side.raise()
		r1 := one.next()
		two.next()
		side.ack()
		one.ack(r1, record.Handled)
		two.disconnect()
		unmasked(one)
	})
	two = b.connect(v, share)
	for _, g := range []*grip{two} {
		g.ack(g.next(), record.Handled) // rung at first
	}
	unmasked(one, two)
	t.Run("one dies while it owes", func(t *testing.T) {
		side.raise()
		r1 := one.next()
		two.next()
		side.ack()
		one.ack(r1, record.Handled)
		two.conn.HolderDied()
		unmasked(one)
	})
	t.Run("alone it goes on, and then nobody is left", func(t *testing.T) {
		side.raise()
		one.next()
		one.disconnect() // with the line masked and high
		side.ack()
		g := b.connect(v) // alone, by eventfd
		g.count()
		if err := kernel.WriteEventfd(g.Unmask, 1); err != nil {
			t.Fatal(err)
		}
		side.paced(t, g, 5)
	})
}

// Who stops is named and revoked at the deadline; the others go on.
func TestVMRule8StoppedSharerIsRevoked(t *testing.T) {
	asBefore(t)
	b, address := openPCI(t, "edu0", map[string]any{"interrupts": "intx"})
	b.registry.Close()
	b.registry = irq.New(irq.Config{AckDeadline: 100 * time.Millisecond})
	b.source.Close()
	b.attach(Config{Name: "pci:" + address, Settings: map[string]any{"interrupts": "intx"}})
	side := eduHardware(t, address)
	v := b.vector("intx", 0)
	one, two := b.connect(v, share), b.connect(v, share)
	side.raise()
	r := one.next()
	side.ack()
	one.ack(r, record.Handled)
	<-two.conn.Done()
	if err := two.conn.Err(); !errors.Is(err, irq.ErrNotConnected) {
		t.Error(err)
	}
	for range 5 {
		side.raise()
		r := one.next()
		side.ack()
		one.ack(r, record.Handled)
	}
}

// A former holder's unmask does not unmask its successor's line, and a driver that unmasks twice, or never, harms only itself.
func TestVMRule7FormerUnmaskIsCut(t *testing.T) {
	asBefore(t)
	b, address := openPCI(t, "edu0", map[string]any{"interrupts": "intx"})
	side := eduHardware(t, address)
	v := b.vector("intx", 0)
	former := b.connect(v)
	side.paced(t, former, 3)
	side.raise() // never acknowledged, never unmasked
	former.count()
	former.disconnect()
	present := b.connect(v)
	for present.count(); side.raised(); side.ack() {
	}
	for range 3 { // twice and more
		kernel.WriteEventfd(present.Unmask, 1)
	}
	side.paced(t, present, 3)
	side.raise()
	present.count() // the line is masked now
	for range 10 {
		kernel.WriteEventfd(former.Unmask, 1)
	}
	if _, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{v}}); !errors.Is(err, irq.ErrAlreadyConnected) {
		t.Error(err)
	}
	if guest.Command(t, address)&guest.CommandINTxOff == 0 {
		t.Error("the former holder has unmasked the line")
	}
	if wait(present.FD, 0) {
		t.Error("the line fired again while it was masked")
	}
	side.ack()
	kernel.WriteEventfd(present.Unmask, 1)
	side.paced(t, present, 3)
}
