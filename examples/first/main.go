// Command first is a driver in Go: it connects a handler to a vector, and the vector is its own.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

func main() {
	ctx := context.Background()
	c, err := ivt.Connect(ctx, os.Args[1], ivt.Label("go"))
	if err != nil {
		log.Fatal(err) // 763, who has it, since when
	}
	log.Fatal(c.Handle(ctx, func(i ivt.Interrupt) irq.Verdict {
		fmt.Println("interrupt", i.Sequence, "count", i.Count)
		return irq.Handled
	}))
}
