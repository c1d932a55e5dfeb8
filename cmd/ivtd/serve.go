package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ivtd/ivt/internal/daemon"
	"github.com/ivtd/ivt/internal/daemon/places"
	"github.com/ivtd/ivt/internal/history"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/version"
)

// stopTime is how long calls under way may take when ivtd is told to stop.
const stopTime = 5 * time.Second

// serve is the daemon's life: it takes the socket, opens the sources, serves, and lets go.
func (o *options) serve(log *slog.Logger) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	p, err := o.load()
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	lock, listeners, err := o.listen(log)
	if err != nil {
		return err
	}
	if lock != nil {
		defer lock.Close()
	}
	public, err := o.listenPublic(log)
	if err != nil {
		for _, l := range listeners {
			l.Close() // takes our own socket away again
		}
		return err
	}
	if path, ok := strings.CutPrefix(o.public, "unix:"); ok {
		defer os.Remove(path)
	}
	return o.attend(daemon.Config{Policy: p}, worker{}, log, listeners, public, signals)
}

// listen takes what socket activation hands down, or makes the socket.
func (o *options) listen(log *slog.Logger) (*daemon.Lock, []net.Listener, error) {
	listeners, err := daemon.Activated()
	if err != nil {
		return nil, nil, err
	}
	if len(listeners) > 0 {
		return nil, listeners, nil // whoever activated us sees to it that there is one of us
	}
	socket := o.places.Socket
	if socket == places.System().Socket { // whose folder /run does not keep
		if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
			return nil, nil, fmt.Errorf("%w; choose another place with --socket", err)
		}
	}
	lock, err := daemon.AcquireLock(socket)
	if err != nil {
		return nil, nil, err
	}
	l, err := lock.Listen(socket, o.places.Mode)
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return lock, []net.Listener{l}, nil
}

// attend serves until a signal ends it, or a listener fails. public is nil without --listen.
func (o *options) attend(c daemon.Config, w worker, log *slog.Logger, listeners []net.Listener, public net.Listener, signals <-chan os.Signal) error {
	debug.SetMaxThreads(daemon.MostSessions + 1000)
	root, err := host.Open("/")
	if err != nil {
		return err
	}
	defer root.Close()
	c.Load, c.Owner, c.Log, c.Version, c.Host = o.load, os.Geteuid(), log, version.String(), daemon.HostOf(root)
	if o.places.History != "" {
		h := history.Open(o.places.History, history.Limits{}, log)
		c.History, c.After = h, h.Last
	}
	s, err := daemon.New(c)
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		log.Info("serving", "socket", l.Addr().String(), "pid", os.Getpid())
		serving.Go(func() { failed <- s.Serve(l) })
	}
	watch, stopWatch := context.WithCancel(context.Background())
	serving.Go(func() { daemon.Watchdog(watch, s) })
	if public != nil {
		serving.Go(func() { servePublic(watch, public, s, root, log) })
	}
	if err := w.ready(); err != nil {
		log.Error("tell the keeper", "err", err)
	}
	daemon.Notify(log, "READY=1")
	err = heed(s, log, signals, failed)
	daemon.Notify(log, "STOPPING=1")
	stopWatch()
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	end := s.Close
	if w.leaves() {
		end = s.Leave
	}
	if late := end(ctx); late != nil {
		log.Warn("some calls were cut off", "err", late)
	}
	serving.Wait()
	log.Info("stopped")
	return errors.Join(err, w.done())
}

// heed waits for signals; it returns when the daemon is to end.
func heed(s *daemon.Server, log *slog.Logger, signals <-chan os.Signal, failed <-chan error) error {
	for {
		select {
		case err := <-failed:
			return err
		case got := <-signals:
			if got != syscall.SIGHUP {
				log.Info("stopping", "signal", got.String())
				return nil
			}
			daemon.NotifyReloading(log)
			if err := s.Reload(context.Background()); err == nil {
				log.Debug("reloaded")
			} // otherwise Reload has said why, and the old policy stays
			daemon.Notify(log, "READY=1")
		}
	}
}
