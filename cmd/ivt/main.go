//go:build !man

// Ivt shows who holds the interrupts of a machine, says what is wrong, and connects drivers to vectors.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// briefGC lets the heap of a brief command grow to 32 MB (4 MB × GOGC/100) before it is collected: the program is over sooner
// than a collection pays.
const briefGC = 800

func main() {
	ctx, stop := context.Background(), func() {}
	if brief(os.Args[1:]) {
		debug.SetGCPercent(briefGC)
	} else {
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	}
	status := run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}
