package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/ivtd/ivt/internal/daemon"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/keeper"
	"github.com/ivtd/ivt/internal/metrics"
	"github.com/ivtd/ivt/internal/metrics/scrape"
	"github.com/ivtd/ivt/internal/page"
)

// What the keeper tells its workers of the public socket.
const (
	publicEnv     = "IVTD_PUBLIC"        // the number of its inherited file; empty without
	publicPathEnv = "IVTD_PUBLIC_SOCKET" // its path if it is a Unix socket, which the keeper takes away at the end
)

// mostVisitors is how many may be connected to the public socket at once: descriptors are for drivers first.
const mostVisitors = 256

// parseListen tells network and address of --listen.
func parseListen(text string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return "", "", usageError{fmt.Errorf("--listen %q: the path of a Unix socket begins with /, such as unix:/run/ivtd/metrics.sock", text)}
		}
		return "unix", path, nil
	}
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" || port == "0" {
		return "", "", usageError{fmt.Errorf("--listen %q: it is host:port, such as 127.0.0.1:9763, or unix:/path", text)}
	}
	return "tcp", text, nil
}

// listenPublic opens the socket of --listen; nil without.
func (o *options) listenPublic(log *slog.Logger) (net.Listener, error) {
	if o.public == "" {
		return nil, nil
	}
	network, address, err := parseListen(o.public)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen(network, address)
	if network == "unix" && errors.Is(err, syscall.EADDRINUSE) && abandoned(address) {
		l, err = net.Listen(network, address)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("--listen %s: somebody listens there already; who: ss -lxtnp; or choose another", o.public)
	case err != nil:
		return nil, fmt.Errorf("--listen %s: %w", o.public, err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
		if err := os.Chmod(address, 0o666); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	} else if !loopback(l.Addr()) {
		log.Warn("the page and the metrics are open to the network, without encryption; a reverse proxy on loopback can do both", "listen", l.Addr().String())
	}
	return l, nil
}

// abandoned takes away a Unix socket that nobody serves any more.
func abandoned(path string) bool {
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return false
	}
	info, stat := os.Lstat(path)
	return errors.Is(err, syscall.ECONNREFUSED) && stat == nil && info.Mode().Type() == os.ModeSocket && os.Remove(path) == nil
}

func loopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return !ok || t.IP.IsLoopback()
}

// publicFile is the socket as the workers inherit it, number n of the files.
func (o *options) publicFile(log *slog.Logger, n int) (files []*os.File, err error) {
	os.Unsetenv(publicEnv)
	l, err := o.listenPublic(log)
	if l == nil || err != nil {
		return nil, err
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err = errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	if path, ok := strings.CutPrefix(o.public, "unix:"); ok {
		os.Setenv(publicPathEnv, path)
	}
	return []*os.File{f}, os.Setenv(publicEnv, fmt.Sprint(keeper.FirstFile+n))
}

// inheritedPublic is the worker's side of publicFile.
func inheritedPublic() (net.Listener, error) {
	text := os.Getenv(publicEnv)
	if text == "" {
		return nil, nil
	}
	var n uintptr
	if _, err := fmt.Sscan(text, &n); err != nil {
		return nil, fmt.Errorf("%s: %w", publicEnv, err)
	}
	f := os.NewFile(n, "public")
	l, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("inherit the public socket: %w", err)
	}
	return l, nil
}

// servePublic serves metrics and page until ctx ends. Its failing is no reason to leave drivers alone.
func servePublic(ctx context.Context, l net.Listener, s *daemon.Server, root *host.Root, log *slog.Logger) {
	public := s.Public()
	handler := scrape.Handler(metrics.Daemon(public, func() metrics.Server {
		a := s.Adopted()
		return metrics.Server{Sessions: s.Sessions(), Workers: s.Workers(), Adopted: a.Adopted, Ended: a.Ended, Released: a.Released}
	}))
	_, tcp := l.Addr().(*net.TCPAddr)
	o := page.Options{AnyHost: !tcp || !loopback(l.Addr()), Metrics: handler}
	log.Info("serving page and metrics", "listen", l.Addr().String())
	if err := page.Serve(ctx, &visitors{Listener: l}, &publicFeed{public: public, server: s, root: root}, o); err != nil {
		log.Error("page and metrics are not served any more", "err", err)
	}
}

// visitors is a listener with at most mostVisitors connections; who comes beyond is hung up on.
type visitors struct {
	net.Listener
	open atomic.Int64
}

func (v *visitors) Accept() (net.Conn, error) {
	for {
		c, err := v.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if v.open.Add(1) <= mostVisitors {
			return &visitor{Conn: c, listener: v}, nil
		}
		v.open.Add(-1)
		c.Close()
	}
}

type visitor struct {
	net.Conn
	listener *visitors
	closed   atomic.Bool
}

func (v *visitor) Close() error {
	if !v.closed.Swap(true) {
		v.listener.open.Add(-1)
	}
	return v.Conn.Close()
}
