package whole

import (
	"sync"
	"testing"

	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// flood raises interrupts as fast as it can until it is stopped, and returns how many.
func flood(raise func()) (stop func() int) {
	var wg sync.WaitGroup
	end, n := make(chan struct{}), 0
	wg.Go(func() {
		for ; ; n++ {
			select {
			case <-end:
				return
			default:
				raise()
			}
		}
	})
	return func() int { close(end); wg.Wait(); return n }
}

// kill -9 of the holder of a vector in a flood: his vector is free and whoever waits gets it, the holder of another vector of the
// same device misses nothing, by the device's count, before, meanwhile and after.
func TestRule6KillInAFlood(t *testing.T) {
	w := start(t, "nic0")
	address := guest.Device(t, "nic0")
	flooded, other := "pci:"+address+"/msix/0", "pci:"+address+"/msix/3"
	victim, neighbour := w.connected(flooded, "irq"), w.connected(other, "irq")
	nic := guest.OpenE1000e(t, address)
	paced := func(n int) {
		t.Helper()
		for range n {
			neighbour.forget() // e1000e raises some twice
			nic.Raise(guest.E1000eTxQ1)
			if !nic.Raised(guest.E1000eTxQ1) {
				t.Fatal("the device did not raise it")
			}
			neighbour.says("woken")
			nic.Ack(guest.E1000eTxQ1)
		}
	}
	for range 3 {
		stop := flood(func() { nic.Raise(guest.E1000eRxQ0); nic.Ack(guest.E1000eRxQ0) })
		victim.says("woken")
		paced(5)
		next := w.driver(flooded, "irq")
		guest.Eventually(t, "the next one waits", func() bool { return w.info(flooded).Waiting == 1 })
		victim.kill()
		paced(5)
		next.says("connected")
		next.says("woken")
		next.forget()
		next.says("woken") // the flood reaches it
		if n := stop(); n == 0 {
			t.Error("there was no flood")
		}
		paced(5)
		victim = next
	}
	victim.kill()
	guest.Eventually(t, "the vector is free", func() bool { return w.info(flooded).State == irq.StateFree })
	if i := w.info(other); i.State != irq.StateConnected || i.Holders[0].PID != neighbour.Process.Pid {
		t.Errorf("the neighbour: %+v", i)
	}
	paced(5)
}

// A level line whose holder is killed before he acknowledged is quiet: the device still raises it, the kernel counts no more. The
// next holder is woken for it, and serves it.
func TestRule6KilledWithALevelHigh(t *testing.T) {
	w := start(t, "edu0")
	address := guest.Device(t, "edu0")
	line := "pci:" + address + "/intx/0"
	edu := guest.OpenEdu(t, address)
	for range 3 {
		victim := w.connected(line, "irq")
		edu.Raise(1) // acknowledged by nobody: the level stays high, and the driver is woken again and again
		victim.says("woken")
		victim.says("woken")
		victim.kill()
		guest.Eventually(t, "the line is free", func() bool { return w.info(line).State == irq.StateFree })
		before := count(t, address)
		if edu.Raised() == 0 {
			t.Error("the device does not raise it any more")
		}
		for range 100 { // of a look at ivtd, which is time for many more interrupts
			w.info(line)
		}
		if after := count(t, address); after != before {
			t.Errorf("the line fired %d times after its holder's death", after-before)
		}
		next := w.connected(line, "irq")
		next.says("woken")
		edu.Ack(1)
		next.leave()
	}
}

func count(t *testing.T, address string) uint64 {
	t.Helper()
	n, _ := guest.Interrupts(t, "vfio-intx("+address+")")
	return n
}

// The device of a killed device holder is quiet: it is reset and may write no memory, and none of its interrupts are set up.
func TestRule6KilledWithTheDevice(t *testing.T) {
	w := start(t, "edu0")
	address := guest.Device(t, "edu0")
	vector := "pci:" + address + "/msi/0"
	for range 3 {
		victim := w.connected(vector, "device")
		edu := guest.OpenEdu(t, address)
		stop := flood(func() { edu.Raise(1); edu.Ack(1) })
		victim.says("woken")
		victim.says("woken")
		victim.kill()
		guest.Eventually(t, "the vector is free", func() bool { return w.info(vector).State == irq.StateFree })
		stop()
		if n, there := guest.Interrupts(t, "("+address+")"); there {
			t.Errorf("the device's interrupt is still set up, it fired %d times", n)
		}
		if c := guest.Command(t, address); c&4 != 0 {
			t.Errorf("the device may still write memory: command %#x", c)
		}
	}
}
