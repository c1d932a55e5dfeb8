//go:build !man

// Ivt shows who holds the interrupts of a machine, says what is wrong, and connects drivers to vectors.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := context.Background(), func() {}
	if !brief(os.Args[1:]) {
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	}
	status := run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}
