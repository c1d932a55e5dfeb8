package varlink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// A Conn is a client's connection to a service. It has one call under way at a time; others wait
// their turn. A call that fails with anything but an *Error closes the connection, a call whose
// context ends among them: this is how the server learns that nobody waits, and the late answer
// cannot be taken for that of the next call. Safe for concurrent use.
type Conn struct {
	wire   *wire
	peer   *Peer
	limits Limits
	turn   chan struct{} // holds one token while a call is under way
}

// Dial connects to a service. The address is a path, or "unix:" and a path; one that begins with @ is
// in Linux's abstract name space. While the service's backlog is full (EAGAIN) it tries again until
// ctx ends. Other errors are those of connect(2): ENOENT if there is no socket, ECONNREFUSED if
// nobody serves it, EACCES.
func Dial(ctx context.Context, address string) (*Conn, error) {
	return Dialer{}.Dial(ctx, address)
}

// A Dialer connects with limits other than the defaults.
type Dialer struct {
	Limits Limits // those that concern messages and descriptors
}

// Dial connects to a service, see the function of that name.
func (d Dialer) Dial(ctx context.Context, address string) (*Conn, error) {
	path, err := socketPath(address)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		conn, err := dialer.DialContext(ctx, "unix", path)
		if err == nil {
			return d.Use(conn.(*net.UnixConn))
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return nil, fmt.Errorf("varlink: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("varlink: %s: its backlog stays full: %w", address, over(ctx))
		case <-time.After(pause):
		}
	}
}

// socketPath reads an address. What follows a semicolon are hints for others (";mode=0666").
func socketPath(address string) (string, error) {
	path, _, _ := strings.Cut(strings.TrimPrefix(address, "unix:"), ";")
	if path == "" || path[0] != '/' && path[0] != '@' && path[0] != '.' {
		return "", fmt.Errorf("varlink: address %q is not a socket's path, such as unix:/run/service.sock", address)
	}
	return path, nil
}

// Use makes a Conn of a socket that is connected already, for example one that was inherited. The
// Conn closes it.
func (d Dialer) Use(socket *net.UnixConn) (*Conn, error) {
	limits := d.Limits.forClient()
	peer, err := newPeer(socket)
	if err != nil {
		socket.Close()
		return nil, err
	}
	w := newWire(socket, peer.raw, limits)
	w.greedy = true
	return &Conn{wire: w, peer: peer, limits: limits, turn: make(chan struct{}, 1)}, nil
}

// Peer is the process that serves the socket.
func (c *Conn) Peer() *Peer { return c.peer }

// Close hangs up. A call that is under way fails.
func (c *Conn) Close() error { return c.wire.conn.Close() }

// Call calls a method, by its full name, and waits for the answer. in is marshalled to the parameters,
// nil for none; the reply's are read into out, which may be nil. An answer that is an error is an
// *Error. Descriptors that come with the reply are closed.
//
// Other errors: the context's; io.ErrUnexpectedEOF if the service hung up before it answered;
// ErrMessageTooLong; what sendmsg(2) and recvmsg(2) say.
func (c *Conn) Call(ctx context.Context, method string, in, out any) error {
	descriptors, err := c.CallDescriptors(ctx, method, in, out)
	descriptors.Close()
	return err
}

// CallDescriptors is Call for methods whose replies carry descriptors, which are the caller's to take
// and to close; there are none with an error. The given ones are copied to the service.
// Errors besides Call's: ErrDescriptorsLost.
func (c *Conn) CallDescriptors(ctx context.Context, method string, in, out any, send ...int) (*Descriptors, error) {
	end, err := c.begin(ctx, method)
	if err != nil {
		return nil, err
	}
	r, descriptors, err := c.exchange(method, in, send)
	if err == nil && (r.continues || len(c.wire.rest) > 0) {
		err = fmt.Errorf("varlink: %s: more than one reply to a plain call", method)
	}
	err = end(err)
	if err == nil {
		err = r.decode(method, out)
	}
	if err != nil {
		descriptors.Close()
		return nil, err
	}
	return descriptors, nil
}

// Oneway calls a method without waiting for it; whether it succeeds is not known.
func (c *Conn) Oneway(ctx context.Context, method string, in any) error {
	end, err := c.begin(ctx, method)
	if err != nil {
		return err
	}
	return end(c.send(method, in, false, true, nil))
}

// begin takes the connection's turn. The function that it returns gives it back, closes the
// connection if it is of no more use, and puts the context's end in the place of an error that it
// caused.
func (c *Conn) begin(ctx context.Context, method string) (end func(error) error, err error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("varlink: %s: %w", method, over(ctx))
	}
	inTime := func() bool { return true }
	if ctx.Done() != nil {
		inTime = context.AfterFunc(ctx, func() { hangUp(c.wire.raw) })
	}
	return func(err error) error {
		ended := !inTime()
		if ended || err != nil && !errors.Is(err, errUnsaid) {
			c.wire.conn.Close()
		}
		if ended && err != nil {
			err = fmt.Errorf("varlink: %s: %w", method, over(ctx))
		}
		<-c.turn
		return err
	}, nil
}

// exchange sends a call and reads its first reply.
func (c *Conn) exchange(method string, in any, send []int) (response, *Descriptors, error) {
	err := c.send(method, in, false, false, send)
	if err != nil && !errors.Is(err, ErrHungUp) {
		return response{}, nil, err
	}
	// A service that hung up may have said why.
	r, descriptors, readErr := c.receive(method)
	if err != nil && r.failure == "" {
		descriptors.Close()
		return response{}, nil, err
	}
	return r, descriptors, readErr
}

// send writes a call.
func (c *Conn) send(method string, in any, more, oneway bool, fds []int) error {
	f := newFrame()
	defer f.free()
	if err := f.encodeRequest(method, in, more, oneway); err != nil {
		return fmt.Errorf("varlink: %s: parameters: %w, %w", method, err, errUnsaid)
	}
	if err := c.wire.write(f.Bytes(), fds); err != nil {
		return fmt.Errorf("varlink: %s: %w", method, err)
	}
	return nil
}

// receive reads a reply. What an error brings in descriptors is closed.
func (c *Conn) receive(method string) (response, *Descriptors, error) {
	m, err := c.wire.read(0)
	if err != nil {
		return response{}, nil, fmt.Errorf("varlink: %s: %w", method, silence(err))
	}
	descriptors := received(m.fds)
	r, err := parseResponse(m.text, c.limits.Nesting)
	if err != nil {
		err = fmt.Errorf("varlink: %s: malformed reply: %w", method, err)
	} else if m.lost && r.failure == "" {
		err = fmt.Errorf("varlink: %s: %w", method, ErrDescriptorsLost)
	} else if descriptors.Len() > c.limits.Descriptors {
		err = fmt.Errorf("varlink: %s: the reply brought %d descriptors", method, descriptors.Len())
	}
	if err != nil || r.failure != "" {
		descriptors.Close()
		descriptors = nil
	}
	return r, descriptors, err
}

// decode reads a reply into out, or returns the error that it is.
func (r response) decode(method string, out any) error {
	if r.failure != "" {
		return &Error{Name: r.failure, Parameters: r.parameters}
	}
	if err := decode(r.parameters, out); err != nil {
		return fmt.Errorf("varlink: %s: unexpected reply: %w", method, err)
	}
	return nil
}

// over says why a context ended: its error, and its cause if that is another.
func over(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != ctx.Err() {
		return fmt.Errorf("%w (%w)", ctx.Err(), cause)
	}
	return ctx.Err()
}

// silence says what the end of the stream is to one who waits for a reply.
func silence(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || gone(err) {
		return fmt.Errorf("the service hung up before it answered: %w", err)
	}
	return err
}
