// Command nic shares the interrupts of an Intel 82574L network card (e1000e) between two processes of different users: a driver
// that has the device, and a worker that has three of its five vectors and nothing else.
//
//	nic driver pci:0000:00:06.0/msix/0 pci:0000:00:06.0/msix/1 < causes
//	nic worker pci:0000:00:06.0/msix/2 pci:0000:00:06.0/msix/3 pci:0000:00:06.0/msix/4
//
// Each prints its interrupts. The driver has the card raise the causes, 0 to 4, that it reads from its standard input.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: nic driver|worker VECTOR...")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	role := map[string]func(context.Context, []string) error{"driver": driver, "worker": worker}[os.Args[1]]
	if role == nil {
		log.Fatal("nic: driver or worker?")
	}
	if err := role(ctx, os.Args[2:]); err != nil {
		log.Fatal("nic: ", err)
	}
}

// worker has interrupts only.
func worker(ctx context.Context, vectors []string) error {
	c, err := ivt.ConnectAll(ctx, vectors, ivt.Label("worker"))
	if err != nil {
		return err
	}
	fmt.Println("connected", len(vectors))
	return c.Handle(ctx, show)
}

// driver has the device, and lets others have interrupts of it.
func driver(ctx context.Context, vectors []string) error {
	c, err := ivt.ConnectAll(ctx, vectors, ivt.Access(irq.AccessDevice), ivt.Consent(), ivt.Label("driver"))
	if err != nil {
		return err
	}
	device, err := c.Device()
	if err != nil {
		return err
	}
	n, err := start(device)
	if err != nil {
		return err
	}
	fmt.Println("connected", len(vectors))
	go n.raiseAll(bufio.NewScanner(os.Stdin))
	return c.Handle(ctx, show)
}

func show(i ivt.Interrupt) irq.Verdict {
	fmt.Println("interrupt", i.Vector)
	return irq.Handled
}

// nic is the card's registers, BAR 0 (82574 datasheet, 10.2.4).
type nic struct{ ivt.Registers }

const (
	controlExtended = 0x18 // in which
	messageMode     = 1 << 31
	cause           = 0xc0
	throttle        = 0xc4
	causeSet        = 0xc8
	causeEnable     = 0xd0
	vectorOfCause   = 0xe4
	vectorThrottle  = 0xe8 // one a vector

	causes = 5 // receive queues 0 and 1, transmit queues 0 and 1, other
	first  = 20

	linkChanged = 1 << 2 // raises the last of the five, too: when the card was reset and finds its link
)

// start gives each cause its vector and enables all.
func start(device *ivt.Device) (*nic, error) {
	if err := device.Enable(); err != nil {
		return nil, err
	}
	registers, err := device.Registers(0)
	if err != nil {
		return nil, err
	}
	n := &nic{registers}
	const valid, writeBack = 8, 1 << 31
	vectors := uint32(writeBack)
	for i := range causes {
		vectors |= uint32(i|valid) << (4 * i)
		n.Store32(vectorThrottle+4*i, 0)
	}
	n.Store32(throttle, 0)
	n.Store32(controlExtended, n.Load32(controlExtended)|messageMode)
	n.Store32(vectorOfCause, vectors)
	n.Store32(causeEnable, (1<<causes-1)<<first)
	return n, nil
}

// raiseAll has the card raise causes, as its self-test does.
func (n *nic) raiseAll(list *bufio.Scanner) {
	for list.Scan() {
		i, err := strconv.ParseUint(list.Text(), 10, 3)
		if err != nil || i >= causes {
			log.Fatalf("nic: %q is none of %d causes", list.Text(), causes)
		}
		clear := uint32(1) << (first + i)
		if i == causes-1 {
			clear |= linkChanged
		}
		n.Store32(cause, clear) // else it is still raised, and is not raised again
		n.Store32(causeSet, 1<<(first+i))
	}
}
