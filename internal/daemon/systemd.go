package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/ivtd/ivt/internal/kernel"
)

// Activated returns the Unix stream listeners that were handed down by socket activation (LISTEN_FDS,
// sd_listen_fds(3)); none without. Other descriptors that came along stay closed to us.
func Activated() ([]net.Listener, error) {
	var listeners []net.Listener
	for _, file := range activation.Files(true) {
		l, err := net.FileListener(file)
		file.Close() // the listener has a copy
		if err != nil {
			continue // something else from the descriptor store
		}
		if _, ok := l.(*net.UnixListener); !ok {
			l.Close()
			return nil, fmt.Errorf("socket activation handed down %s: ivtd serves Unix stream sockets only (ListenStream=/run/ivtd/ivtd.sock)", l.Addr())
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// Notify tells systemd, if it started us, what state the service is in: "READY=1", "STOPPING=1".
func Notify(log *slog.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("notify systemd", "state", state, "err", err)
	}
}

// NotifyReloading is what Type=notify-reload wants to hear before READY=1.
func NotifyReloading(log *slog.Logger) {
	Notify(log, fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", kernel.Monotonic()/1000))
}

// Watchdog tells systemd (WatchdogSec=) that the server answers, until ctx ends. Without a watchdog it returns at once.
func Watchdog(ctx context.Context, s *Server) {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Healthy() // hangs where the server does: then systemd hears nothing
			Notify(s.log, "WATCHDOG=1")
		}
	}
}
