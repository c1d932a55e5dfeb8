package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"

	"github.com/ivtd/ivt/internal/daemon"
	"github.com/ivtd/ivt/internal/keeper"
)

// What the keeper tells its workers beside what package keeper does.
const (
	listenersEnv = "IVTD_LISTENERS"  // how many of the inherited files are sockets to listen on
	ownSocketEnv = "IVTD_OWN_SOCKET" // the socket that the keeper made, and takes away at the end
	durableEnv   = "IVTD_DURABLE"    // what is kept outlives the keeper, so a stop releases nobody
)

// keep is the life of the keeper: it has the sockets and the lock, starts workers, and parses nothing.
func (o *options) keep(log *slog.Logger) error {
	if _, err := o.load(); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR2)
	in, err := keeper.Inherit()
	if err != nil {
		return err
	}
	files, err := o.files(log, &in)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	notify := os.Getenv("NOTIFY_SOCKET")
	if notify != "" {
		os.Setenv(durableEnv, "1")
	}
	os.Unsetenv("WATCHDOG_PID") // workers answer the watchdog, under whatever pid they have
	status, err := keeper.Run(keeper.Options{Program: program, Args: os.Args[1:], Files: files, Instance: rand.Text(), Log: log, Notify: notify, Inherit: in},
		signals, syscall.SIGUSR2)
	if err != nil {
		return err
	}
	for _, path := range []string{os.Getenv(ownSocketEnv), os.Getenv(publicPathEnv)} {
		if path != "" {
			os.Remove(path) // if it is gone already that is as well
		}
	}
	os.Exit(status)
	return nil
}

// files are what every worker inherits: the sockets first, then the public one and the lock, if there are any.
func (o *options) files(log *slog.Logger, in **keeper.Inherited) ([]*os.File, error) {
	if *in != nil {
		return (*in).Files, nil // by an upgrade in place; IVTD_LISTENERS is in the environment still
	}
	stored, sockets, err := keeper.FromSystemd()
	if err != nil {
		return nil, err
	}
	*in = stored
	if len(sockets) > 0 {
		public, err := o.publicFile(log, len(sockets))
		return append(sockets, public...), errors.Join(err, setListeners(len(sockets)))
	}
	lock, listeners, err := o.listen(log)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, l := range listeners {
		u := l.(*net.UnixListener)
		u.SetUnlinkOnClose(false)
		f, err := u.File()
		if err = errors.Join(err, u.Close()); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	public, err := o.publicFile(log, len(files))
	if err != nil {
		if lock != nil {
			os.Remove(o.places.Socket) // ours, and nobody was served
		}
		return nil, err
	}
	files = append(files, public...)
	if lock != nil {
		files = append(files, lock.File())
	}
	return files, errors.Join(os.Setenv(ownSocketEnv, o.places.Socket), setListeners(len(listeners)))
}

func setListeners(n int) error { return os.Setenv(listenersEnv, strconv.Itoa(n)) }

// work is the life of a worker: it takes over what former ones left, serves, and leaves it to the next one or lets go.
func (o *options) work(log *slog.Logger) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	p, err := o.load()
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	unhurried := debug.SetGCPercent(startPercent)
	store, left, problems, err := keeper.Open(keeper.ControlFile, keeper.MemoryFile, keeper.TableFile)
	if err != nil {
		return err
	}
	for _, problem := range problems {
		log.Error("kept state", "problem", problem)
	}
	listeners, err := inheritedListeners()
	if err != nil {
		return err
	}
	public, err := inheritedPublic()
	if err != nil {
		return err
	}
	if o.system {
		daemon.Confine(o.places, log)
	}
	c := daemon.Config{Policy: p, Store: store, Left: left}
	w := worker{store: store, durable: os.Getenv(durableEnv) != "", serves: func() { debug.SetGCPercent(unhurried) }}
	return o.attend(c, w, log, listeners, public, signals)
}

func inheritedListeners() ([]net.Listener, error) {
	n, err := strconv.Atoi(os.Getenv(listenersEnv))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", listenersEnv, err)
	}
	var all []net.Listener
	for i := range n {
		f := os.NewFile(uintptr(keeper.FirstFile+i), "socket")
		l, err := net.FileListener(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("inherit a socket: %w", err)
		}
		all = append(all, l)
	}
	return all, nil
}

// worker is a life with a keeper; its zero value is one without.
type worker struct {
	store   *keeper.Store
	durable bool
	serves  func() // called when we serve
}

// startPercent is GOGC until a worker serves: everybody waits for it, and most of what it makes then stays.
const startPercent = 400

// ready says that we serve.
func (w worker) ready() error {
	if w.store == nil {
		return nil
	}
	w.serves()
	return w.store.Ready()
}

// leaves reports whether an orderly end releases nobody.
func (w worker) leaves() bool { return w.store != nil && w.durable }

// done tells the keeper not to start another worker.
func (w worker) done() error {
	if w.store == nil {
		return nil
	}
	return w.store.Stop()
}
