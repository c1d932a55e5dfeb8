package keeper

import (
	"os"
	"os/signal"
	"syscall"
)

func notifySignals(c chan os.Signal) {
	signal.Notify(c, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2)
}
