// Command edu is a driver for QEMU's edu device (docs/specs/edu.rst of QEMU), whole: it is granted the device, maps its
// registers, gives it memory, and is interrupted when a factorial or a transfer is done. It needs no privilege.
//
//	echo 10 | edu pci:0000:00:04.0/msi/0
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
	if len(os.Args) != 2 {
		log.Fatal("usage: edu VECTOR < numbers")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		log.Fatal("edu: ", err)
	}
}

func run(ctx context.Context, vector string) error {
	c, err := ivt.Connect(ctx, vector, ivt.Access(irq.AccessDevice), ivt.Label("edu"))
	if err != nil {
		return err // 763: who has it, since when
	}
	defer c.Disconnect(context.Background())
	e, err := start(c)
	if err != nil {
		return err
	}
	fmt.Println("connected", vector)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		n, err := strconv.ParseUint(in.Text(), 10, 8)
		if err != nil {
			return err
		}
		result, err := e.factorial(ctx, uint32(n))
		if err != nil {
			return err
		}
		fmt.Printf("%d! = %d, interrupted\n", n, result)
	}
	text, err := e.echo(ctx, "there and back")
	if err != nil {
		return err
	}
	fmt.Printf("%q by DMA, interrupted twice\n", text)
	return nil
}
