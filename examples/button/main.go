// Command button counts how often a button is pressed, and says when: at the time that the kernel took with the edge, however late
// this process is. button.py does the same in Python without any library.
//
//	button gpio:gpiochip0/0
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/ivtd/ivt"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: button VECTOR")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := ivt.Connect(ctx, os.Args[1], ivt.Label("button"))
	if err != nil {
		log.Fatal("button: ", err)
	}
	defer c.Disconnect(context.Background())
	fmt.Println("connected", os.Args[1])
	presses := uint64(0)
	for i, err := range c.Interrupts(ctx) {
		if err != nil {
			log.Fatal("button: ", err)
		}
		presses += i.Count
		if i.Lost > 0 {
			fmt.Println("missed", i.Lost) // the kernel keeps so many edges and no more
		}
		if i.Count > 0 { // else ivt rang in doubt
			fmt.Printf("press %d at %.9f s\n", presses, time.Duration(i.Time).Seconds())
		}
	}
}
