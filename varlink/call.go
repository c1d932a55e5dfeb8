package varlink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// A Handler serves one method. It runs on its session's goroutine: the session's next call is read
// when it returns, and it may block as long as it likes without keeping anyone else waiting.
//
// It answers with Reply, Continue or Error, or by returning an *Error (also wrapped). Any other
// error, a panic, or returning without an answer is logged, and the client gets ErrorInternal.
type Handler func(*Call) error

// A Call is one method call as its handler sees it. It is for the handler's goroutine, except for
// its Context, and ends when the handler returns.
type Call struct {
	// Method is the full name, e.g. "org.example.ping.Ping".
	Method string

	// Parameters are a JSON object or empty. They have been checked against the interface.
	Parameters json.RawMessage

	// More is set if the caller takes any number of replies, Oneway if it takes none.
	More, Oneway bool

	// Sender is who wrote this message, as the kernel says: its pid, and its real uid and gid.
	// The peer's are the effective ones, so for a set-user-id program they differ; a different
	// pid is somebody else on the peer's socket, such as a child that inherited it. A process with
	// CAP_SYS_ADMIN can claim another pid, one with CAP_SETUID another uid. PID 0 is nobody that
	// the kernel could name, see Credentials and Listen.
	Sender Credentials

	// Descriptors are those that came with the call. What the handler does not take is closed when
	// it returns.
	Descriptors *Descriptors

	session  *Session
	target   *method
	context  callContext
	answered bool
}

// Context ends when the peer hangs up (unless the call is oneway: then nobody waits for the
// answer), when the server is closed, and when the handler returns. Its cause is ErrHungUp or
// ErrServerClosed. Values are those of Server.Context.
func (c *Call) Context() context.Context { return &c.context }

// Session is the session that the call came in.
func (c *Call) Session() *Session { return c.session }

// Peer is who opened the session.
func (c *Call) Peer() *Peer { return c.session.peer }

// Decode reads the parameters into a struct. A value that its Go type cannot hold is an *Error,
// InvalidParameter, to be returned from the handler.
func (c *Call) Decode(into any) error { return decode(c.Parameters, into) }

// Plain refuses, with InvalidParameter, a call that is not answered by exactly one reply. Methods
// whose reply carries descriptors begin with it.
func (c *Call) Plain() error {
	switch {
	case c.More:
		return InvalidParameter("more")
	case c.Oneway:
		return InvalidParameter("oneway")
	}
	return nil
}

// Streaming refuses, with ExpectedMore, a call that takes only one reply.
func (c *Call) Streaming() error {
	if !c.More {
		return ExpectedMore()
	}
	return nil
}

// Reply answers the call: parameters are a struct, a map or nil, fds are copied to the peer and
// stay the caller's to close. Descriptors need a plain call (ErrNotPlain), and wait until the peer
// has read all it was sent before, for Limits.WriteTime at most (ErrUnread). To a oneway call
// nothing is sent.
//
// After ErrHungUp, ErrUnread and everything not listed here the session is at its end and the
// handler undoes what it did. But the call can still be answered, with an error for example, after
// ErrNotPlain, ErrMessageTooLong, parameters that cannot be marshalled, and what sendmsg(2) refused
// as a whole: ETOOMANYREFS, EBADF, or EINVAL for more than 253 descriptors; Answered tells.
func (c *Call) Reply(parameters any, fds ...int) error {
	if len(fds) > 0 && (c.More || c.Oneway) {
		return ErrNotPlain
	}
	return c.answer("", parameters, false, fds)
}

// Continue sends one of several replies; Reply or Error sends the last. A caller that did not ask
// for more gets ExpectedMore if the handler returns the error.
func (c *Call) Continue(parameters any) error {
	if err := c.Streaming(); err != nil {
		return err
	}
	return c.answer("", parameters, true, nil)
}

// Error answers the call with an error. The name includes the interface's.
func (c *Call) Error(name string, parameters any) error {
	return c.answer(name, parameters, false, nil)
}

// Answered says whether the call had its last reply, or its session is broken so that it will never
// have one.
func (c *Call) Answered() bool { return c.answered }

// answer sends one reply or error.
func (c *Call) answer(failure string, parameters any, continues bool, fds []int) error {
	if c.answered {
		return ErrAnswered
	}
	f := newFrame()
	defer f.free()
	text, err := f.encodeResponse(failure, parameters, continues)
	if err == nil {
		err = c.checked(failure, text)
	}
	if err != nil {
		return fmt.Errorf("varlink: reply of %s: %w", c.Method, err)
	}
	if f.Len() > maxReply {
		return fmt.Errorf("%w: reply of %s has %d bytes", ErrMessageTooLong, c.Method, f.Len())
	}
	if !c.Oneway {
		err = c.session.wire.write(f.Bytes(), fds)
	}
	return c.sent(err, continues)
}

// sent notes what became of a reply.
func (c *Call) sent(err error, continues bool) error {
	c.answered = !continues && err == nil || err != nil && !errors.Is(err, errUnsaid)
	if err != nil {
		return fmt.Errorf("varlink: reply of %s: %w", c.Method, err)
	}
	return nil
}

// checked holds what is about to be sent against the interface, where the server was told to.
func (c *Call) checked(failure string, parameters json.RawMessage) error {
	if !c.session.server.CheckReplies || c.target == nil {
		return nil
	}
	if failure == "" {
		return c.target.iface.CheckReply(c.Method, parameters)
	}
	iface, _, _ := splitMethod(failure)
	if iface != c.target.iface.Name {
		return nil // of another interface: org.varlink.service
	}
	return c.target.iface.CheckError(failure, parameters)
}
