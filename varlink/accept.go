package varlink

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// mostRefusals is how many connections over a limit are being closed at once, where that may block, beside those that were held.
const mostRefusals = 64

// Who is refused and has been told is hung up on a little later, so that a peer that comes again and again whenever it is hung up on
// costs next to nothing. Beyond so many it is not worth the descriptors.
const (
	mostHeld = 256
	holdTime = 250 * time.Millisecond
)

// Peers that come only to leave, or to be refused, are cheapest together: after so many of them the door stays shut for a moment, and
// then all are dealt with who have come meanwhile.
const (
	manyNuisances = 4
	shutTime      = time.Millisecond
)

// A held peer was refused and will be hung up on.
type held struct {
	timer  *time.Timer
	sealed bool
}

// A door is a listener whose connections come as bare descriptors: a peer that gets no session costs no more than the system calls.
type door struct {
	listener *net.UnixListener
	file     *os.File // the same socket, since a listener's RawConn does not wait
	raw      syscall.RawConn

	nuisances int // since it was shut
	fd        int // the last one accepted
	err       error
	step      func(uintptr) bool // take, made once
}

func newDoor(l *net.UnixListener) (*door, error) {
	file, err := l.File()
	if err != nil {
		return nil, err
	}
	d := &door{listener: l, file: file}
	d.step = d.take
	if d.raw, err = file.SyscallConn(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return d, nil
}

// Close ends accept; the listener takes its file away, if it made it.
func (d *door) Close() error { return errors.Join(d.listener.Close(), d.file.Close()) }

// accept waits for the next connection. syscall.EAGAIN: there is none, and it is time to stay shut for a moment.
func (d *door) accept() (fd int, err error) {
	if err := d.raw.Read(d.step); err != nil {
		return -1, err
	}
	return d.fd, d.err
}

func (d *door) take(listener uintptr) bool {
	d.fd, d.err = acceptSocket(listener)
	return d.err != syscall.EAGAIN || d.nuisances >= manyNuisances
}

// accept opens sessions until the listener is closed.
func (s *Server) accept(d *door) error {
	var pause time.Duration
	for {
		fd, err := d.accept()
		switch {
		case err == nil:
			if pause > 0 {
				s.log().Warn("varlink accepts sessions again")
				pause = 0
			}
			if !s.open(fd) {
				d.nuisances++
			}
		case s.closing.Load():
			return ErrServerClosed
		case err == syscall.EAGAIN:
			d.nuisances = 0
			s.pause(shutTime)
		case scarce(err):
			if pause == 0 {
				s.log().Warn("varlink cannot accept sessions for now", "error", err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.pause(pause)
		case errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.EINTR):
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

// open starts a session, or tells the peer that there are too many. It reports whether there is a session.
func (s *Server) open(fd int) bool {
	if mute(fd) { // not even descriptors that nobody reads are left of it
		closeSocket(fd)
		return false
	}
	peer, err := peerCredentials(fd)
	sealed := false
	if err == nil {
		sealed, err = prepareSession(fd)
	}
	if err != nil {
		s.log().Warn("varlink session refused", "error", err)
		s.refuse(fd, sealed, PermissionDenied())
		return false
	}
	session, refusal := s.admit(fd, sealed, peer)
	if refusal != nil {
		s.refuse(fd, sealed, refusal)
	}
	if session == nil {
		return false
	}
	go session.serve()
	return true
}

// admit counts a new session against the limits. Without session and refusal the descriptor is closed.
func (s *Server) admit(fd int, sealed bool, peer Credentials) (*Session, *Error) {
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
	session, err := s.newSession(fd, sealed, peer)
	if err != nil {
		s.log().Error("varlink session refused", "error", err)
		return nil, nil
	}
	s.last++
	session.id = s.last
	s.sessions[session] = true
	u.sessions++
	s.users[peer.UID] = u
	s.counts.accepted.Add(1)
	return session, nil
}

func (s *Server) newSession(fd int, sealed bool, peer Credentials) (*Session, error) {
	file := os.NewFile(uintptr(fd), "session")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	w := newWire(file, raw, s.limits)
	w.sealed, w.unwanted = sealed, s.limits.Descriptors == 0
	return &Session{server: s, wire: w, peer: &Peer{Credentials: peer, raw: raw}}, nil
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

// refuse tells a peer why it gets no session, and hangs up on it later if there are not too many for whom to do that.
func (s *Server) refuse(fd int, sealed bool, why *Error) {
	s.counts.refused.Add(1)
	if sealed && hungUp(uintptr(fd)) { // nobody is there to be told
		closeSocket(fd)
		return
	}
	dismissal(fd, why)
	s.mu.Lock()
	hold := s.refusals < mostHeld && !s.closing.Load()
	s.refusals++
	if hold {
		s.held[fd] = held{time.AfterFunc(holdTime, func() { s.dismiss(fd, sealed) }), sealed}
	}
	s.mu.Unlock()
	switch {
	case hold:
	case sealed:
		s.dismiss(fd, sealed)
	default: // closing it may block on what it has already sent (package bury); only so many can keep the listener waiting
		s.refusing <- struct{}{}
		go func() {
			s.dismiss(fd, sealed)
			<-s.refusing
		}()
	}
}

// dismiss hangs up on a peer that was refused.
func (s *Server) dismiss(fd int, sealed bool) {
	s.mu.Lock()
	delete(s.held, fd) // before the number can be another's
	s.mu.Unlock()
	empty := sealed || endSocket(fd, s.limits.Descriptors == 0)
	closing(empty, func() { closeSocket(fd) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals--
	s.settled()
}
