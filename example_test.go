//go:build linux

package ivt_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// A driver connects to its vector, is woken for each interrupt, and goes. Here the vector is a doorbell.
func Example() {
	d, err := start() // an ivtd, for the example
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.stop()
	ctx := context.Background()

	c, err := ivt.Connect(ctx, "soft:demo/3", ivt.Socket(d.socket), ivt.Label("example"))
	if err != nil {
		fmt.Println(err)
		return
	}
	d.client.Raise(ctx, "soft:demo/3", 2)
	i, err := c.Wait(ctx)
	fmt.Println(i.Vector, "fired", i.Count, "times", err)

	// Whoever comes second is refused, and told who has it.
	_, err = ivt.Connect(ctx, "soft:demo/3", ivt.Socket(d.socket))
	var refusal *irq.Error
	if errors.As(err, &refusal) {
		holder := refusal.Conflicts[0].Holders[0]
		fmt.Println(uint32(refusal.Code), refusal.Code.Name())
		fmt.Println("held by this process:", holder.PID == os.Getpid(), "as", holder.Label)
	}
	fmt.Println(c.Disconnect(ctx))
	// Output:
	// soft:demo/3 fired 2 times <nil>
	// 763 ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED
	// held by this process: true as example
	// <nil>
}

// A handler acknowledges by its return value; irq.Done ends the connection.
func ExampleConnection_Handle() {
	d, err := start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.stop()
	ctx := context.Background()
	c, err := d.client.Connect(ctx, "soft:demo/3")
	if err != nil {
		fmt.Println(err)
		return
	}
	d.client.Raise(ctx, "soft:demo/3", 1)
	err = c.Handle(ctx, func(i ivt.Interrupt) irq.Verdict {
		fmt.Println("interrupt", i.Sequence)
		return irq.Done
	})
	fmt.Println(err, c.Err())
	// Output:
	// interrupt 1
	// <nil> wait "c1": 1167 ERROR_DEVICE_NOT_CONNECTED: this process disconnected it
}

// A driver that is granted its device maps its registers and gives it memory. It runs where the device is; examples/edu is a
// whole one.
func ExampleConnection_Device() {
	ctx := context.Background()
	c, err := ivt.Connect(ctx, "pci:0000:00:04.0/msi/0", ivt.Access(irq.AccessDevice))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Disconnect(ctx)
	device, err := c.Device()
	if err != nil {
		log.Fatal(err)
	}
	if err := device.Enable(); err != nil {
		log.Fatal(err)
	}
	registers, err := device.Registers(0)
	if err != nil {
		log.Fatal(err)
	}
	memory, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_ANONYMOUS)
	if err != nil {
		log.Fatal(err)
	}
	if err := device.MapDMA(memory, 0x10000); err != nil {
		log.Fatal(err)
	}
	registers.Store64(0x80, 0x10000)
}
