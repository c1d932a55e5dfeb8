package varlink

import (
	"context"
	"fmt"
	"net"
	"syscall"
)

// Listen makes a socket that clients can connect to, with every message's credentials asked for from
// the beginning (SO_PASSCRED). A listener from elsewhere serves as well, but on Linux 6.16 and later
// what a client sends to it before Serve is called comes without: its Call.Sender has PID 0. Under
// socket activation by systemd, PassCredentials=yes prevents that. The address is as for Dial; the
// socket's file is removed when the listener is closed, and its mode is the umask's affair.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	path, err := socketPath(address)
	if err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return prepareListener(raw, true)
	}}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("varlink: %w", err)
	}
	return l, nil
}

// Serve accepts sessions on a Unix stream listener, made here or handed down by socket activation,
// until Shutdown or Close; then it returns ErrServerClosed. It closes the listener. When
// descriptors or memory run out (EMFILE, ENFILE, ENOBUFS, ENOMEM) it says so in the log, waits a
// little and goes on; clients wait in the backlog meanwhile. A server may serve several listeners.
func (s *Server) Serve(listener net.Listener) error {
	defer listener.Close()
	s.prepare()
	l, ok := listener.(*net.UnixListener)
	if !ok || l.Addr().Network() != "unix" {
		return fmt.Errorf("varlink: %s is not a Unix stream socket", listener.Addr())
	}
	raw, err := l.SyscallConn()
	if err == nil {
		err = prepareListener(raw, s.limits.Descriptors > 0)
	}
	if err != nil {
		return fmt.Errorf("varlink: listener %s: %w", l.Addr(), err)
	}
	d, err := newDoor(l)
	if err != nil {
		return fmt.Errorf("varlink: listener %s: %w", l.Addr(), err)
	}
	defer d.Close()
	if !s.listen(d) {
		return ErrServerClosed
	}
	defer s.unlisten(d)
	return s.accept(d)
}

func (s *Server) listen(d *door) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.listeners[d] = true
	return true
}

func (s *Server) unlisten(d *door) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, d)
}

// forget ends a session's account.
func (s *Server) forget(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
	u := s.users[session.peer.UID]
	u.sessions--
	if u.told = u.told && u.sessions > s.limits.SessionsPerUser/2; u.sessions == 0 {
		delete(s.users, session.peer.UID)
	}
	s.settled()
}

// settled wakes who waits for the server's end, once. The lock is held.
func (s *Server) settled() {
	if !s.closing.Load() || len(s.sessions) > 0 || s.refusals > 0 {
		return
	}
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

// Shutdown accepts no more sessions, ends those that are idle, lets the others finish the call that
// they are in, and returns when all have ended. When ctx ends first it does what Close does, but
// without waiting for handlers, and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	select {
	case <-s.empty:
		s.cancel(ErrServerClosed)
		return nil
	case <-ctx.Done():
		s.hangUp()
		return ctx.Err()
	}
}

// Close ends everything: listeners, the contexts of calls (with ErrServerClosed as their cause), and
// the sockets. It returns when all handlers have.
func (s *Server) Close() error {
	s.stop()
	s.hangUp()
	<-s.empty
	return nil
}

// stop closes the listeners and stops reading further calls.
func (s *Server) stop() {
	s.prepare()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing.Swap(true) {
		close(s.stopping)
	}
	for d := range s.listeners {
		d.Close()
	}
	for fd, h := range s.held {
		if h.timer.Stop() {
			go s.dismiss(fd, h.sealed)
		}
	}
	for session := range s.sessions {
		hushUp(session.wire.raw)
	}
	s.settled()
}

// hangUp ends the calls and the sessions.
func (s *Server) hangUp() {
	s.cancel(ErrServerClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	for session := range s.sessions {
		hangUp(session.wire.raw)
	}
}
