package varlink

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"
)

// A Session is one client's connection to a Server. It serves one call after the other, on one
// goroutine.
type Session struct {
	// Value is the handlers' own; what one leaves here the session's next call finds.
	Value any

	server *Server
	wire   *wire
	peer   *Peer
	id     uint64

	mu    sync.Mutex
	after []func()
}

// ID is unique within the server's lifetime, counting from 1.
func (s *Session) ID() uint64 { return s.id }

// Peer is who opened the session.
func (s *Session) Peer() *Peer { return s.peer }

// AfterEnd has f called when the session has ended, however it did, on the session's goroutine and
// before its socket is closed; the last f given is the first called. It may be called from any
// goroutine, but not once the session has ended.
func (s *Session) AfterEnd(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = append(s.after, f)
}

// serve is the session's life.
func (s *Session) serve() {
	defer s.server.forget(s)
	err := s.admit()
	for err == nil {
		err = s.next()
	}
	s.server.log().Debug("varlink session ended", "session", s.id, "pid", s.peer.PID, "uid", s.peer.UID, "reason", err)
	s.end()
}

// admit asks the server's owner about the peer.
func (s *Session) admit() error {
	if s.server.Admit == nil {
		return nil
	}
	err := s.server.Admit(s.peer)
	if err != nil {
		s.say(err)
	}
	return err
}

// next serves one call. Its error ends the session.
func (s *Session) next() error {
	if s.server.closing.Load() {
		return ErrServerClosed
	}
	m, err := s.wire.read(s.server.limits.IdleTime)
	if err != nil {
		s.complain(err)
		return err
	}
	descriptors := received(m.fds)
	defer descriptors.Close()
	r, err := s.parse(m)
	if err != nil {
		s.complain(err)
		return fmt.Errorf("malformed call: %w", err)
	}
	return s.call(r, m, descriptors)
}

// complain tells the peer what was wrong with what it sent, if it was what it sent.
func (s *Session) complain(err error) {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, errIdle), gone(err):
		return
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("a message ends with a NUL byte, this one did not")
	}
	s.say(InvalidParameter("message: " + err.Error()))
}

// parse reads the call and refuses what no honest client sends.
func (s *Session) parse(m message) (request, error) {
	switch {
	case m.mixed:
		return request{}, errors.New("two processes wrote it")
	case m.lost && s.server.limits.Descriptors > 0:
		return request{}, ErrDescriptorsLost
	}
	return parseRequest(m.text, s.server.limits.Nesting)
}

// call runs the handler and makes sure that there is an answer.
func (s *Session) call(r request, m message, descriptors *Descriptors) error {
	if s.server.limits.Descriptors == 0 {
		descriptors.Close()
		descriptors = nil
	}
	c := &Call{
		Method: r.method, Parameters: r.parameters, More: r.more, Oneway: r.oneway,
		Sender: m.sender, Descriptors: descriptors, session: s,
	}
	c.context = callContext{parent: s.server.base, wire: s.wire, oneway: r.oneway}
	defer c.context.end()
	s.server.counts.calls.Add(1)
	return s.settle(c, s.handle(c))
}

// handle checks the call and runs its handler.
func (s *Session) handle(c *Call) (err error) {
	if c.Descriptors.Len() > s.server.limits.Descriptors {
		return InvalidParameter("descriptors")
	}
	if c.target, err = s.server.find(c.Method); err != nil {
		return err
	}
	err = check(c.target.member.In, c.Parameters, s.server.limits.Nesting)
	var bad *TypeError
	if errors.As(err, &bad) {
		return InvalidParameter(bad.Path)
	}
	return s.run(c)
}

// run calls the handler; a panic is the handler's failure, not the server's.
func (s *Session) run(c *Call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.target.handler(c)
}

// settle answers for a handler that did not, and decides whether the session goes on.
func (s *Session) settle(c *Call, err error) error {
	var answer *Error
	switch {
	case c.answered && err == nil:
		return nil
	case c.answered:
		return err
	case errors.As(err, &answer):
	case err == nil && c.Oneway:
		return nil
	case s.server.base.Err() != nil:
		return ErrServerClosed
	case errors.Is(err, ErrHungUp) || !c.Oneway && s.wire.hungUp():
		return ErrHungUp // nobody is there to be told
	default:
		s.failed(c, err)
		answer = &Error{Name: ErrorInternal}
	}
	return c.Error(answer.Name, answer.Parameters)
}

func (s *Session) failed(c *Call, err error) {
	if err == nil {
		err = errors.New("it returned without an answer")
	}
	s.server.log().Error("varlink handler failed", "method", c.Method, "pid", s.peer.PID, "uid", s.peer.UID, "error", err)
}

// say tells the peer why its session ends, if there is room in the socket.
func (s *Session) say(err error) {
	var answer *Error
	if !errors.As(err, &answer) {
		answer = PermissionDenied()
	}
	s.wire.farewell(answer)
}

// end lets go of everything the session had.
func (s *Session) end() {
	s.mu.Lock()
	after := s.after
	s.after = nil
	s.mu.Unlock()
	for i := len(after) - 1; i >= 0; i-- {
		after[i]()
	}
	s.wire.close()
}

// farewell sends one last error without waiting.
func (w *wire) farewell(e *Error) {
	f := newFrame()
	defer f.free()
	if _, err := f.encodeResponse(e.Name, e.Parameters, false); err == nil {
		w.patience = time.Nanosecond
		_ = w.write(f.Bytes(), nil)
	}
}
