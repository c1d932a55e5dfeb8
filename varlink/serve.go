package varlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// mostRefusals is how many connections over a limit are being told so at once.
const mostRefusals = 64

// Who is refused and has been told is hung up on a little later, so that a peer that comes again and again whenever it is hung up on
// costs next to nothing. Beyond so many it is not worth the descriptors.
const (
	mostHeld = 256
	holdTime = 250 * time.Millisecond
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
	if !s.listen(l) {
		return ErrServerClosed
	}
	defer s.unlisten(l)
	return s.accept(l)
}

func (s *Server) listen(l *net.UnixListener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.listeners[l] = true
	return true
}

func (s *Server) unlisten(l *net.UnixListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// accept opens sessions until the listener is closed.
func (s *Server) accept(l *net.UnixListener) error {
	var pause time.Duration
	for {
		conn, err := l.AcceptUnix()
		switch {
		case err == nil:
			if pause > 0 {
				s.log().Warn("varlink accepts sessions again")
				pause = 0
			}
			s.open(conn)
		case s.closing.Load():
			return ErrServerClosed
		case scarce(err):
			if pause == 0 {
				s.log().Warn("varlink cannot accept sessions for now", "error", err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.pause(pause)
		case errors.Is(err, syscall.ECONNABORTED):
		default:
			return fmt.Errorf("varlink: accept: %w", err)
		}
	}
}

// scarce says whether accept failed for want of something that comes back.
func scarce(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// pause waits, but not beyond the server's end.
func (s *Server) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.base.Done():
	}
}

// open starts a session, or tells the peer that there are too many.
func (s *Server) open(conn *net.UnixConn) {
	w, err := newWire(conn, s.limits)
	if err != nil {
		conn.Close()
		return
	}
	peer, err := newPeer(conn)
	if err == nil {
		w.sealed, err = prepareSession(w.raw)
	}
	if err != nil {
		s.log().Warn("varlink session refused", "error", err)
		s.refuse(w, PermissionDenied())
		return
	}
	session, refusal := s.admit(w, peer)
	if refusal != nil {
		s.refuse(w, refusal)
		return
	}
	go session.serve()
}

// admit counts a new session against the limits.
func (s *Server) admit(w *wire, peer *Peer) (*Session, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[peer.UID]
	if u == nil {
		u = &user{}
	}
	switch {
	case s.closing.Load():
		return nil, tooMany(0, nil)
	case len(s.sessions) >= s.limits.Sessions:
		return nil, tooMany(s.limits.Sessions, nil)
	case u.sessions >= s.limits.SessionsPerUser:
		if !u.told {
			s.log().Warn("varlink user has too many sessions", "uid", peer.UID, "limit", s.limits.SessionsPerUser)
		}
		u.told = true
		return nil, tooMany(s.limits.SessionsPerUser, &peer.UID)
	}
	s.last++
	session := &Session{server: s, wire: w, peer: peer, id: s.last}
	s.sessions[session] = true
	u.sessions++
	s.users[peer.UID] = u
	s.counts.accepted.Add(1)
	return session, nil
}

func tooMany(limit int, uid *uint32) *Error {
	e, err := NewError(ErrorTooManySessions, struct {
		Limit int     `json:"limit"`
		UID   *uint32 `json:"uid,omitempty"`
	}{limit, uid})
	if err != nil {
		return &Error{Name: ErrorTooManySessions}
	}
	return e
}

// refuse tells a peer why it gets no session. That is not done here, since closing its socket may
// block on what it has already sent (see drain); only so many can keep the listener waiting.
func (s *Server) refuse(w *wire, why *Error) {
	s.counts.refused.Add(1)
	if w.sealed && w.hungUp() { // nobody is there to be told, and closing does not block
		w.close()
		return
	}
	s.mu.Lock()
	s.refusals++
	s.mu.Unlock()
	s.refusing <- struct{}{}
	go func() {
		w.farewell(why)
		s.hold()
		w.close()
		<-s.refusing
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refusals--
		s.settled()
	}()
}

// hold lets somebody who was refused wait, if there are not too many who do: it is not one of those being told meanwhile.
func (s *Server) hold() {
	select {
	case s.holding <- struct{}{}:
	default:
		return
	}
	<-s.refusing
	timer := time.NewTimer(holdTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stopping:
	}
	s.refusing <- struct{}{}
	<-s.holding
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
	for l := range s.listeners {
		l.Close()
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
