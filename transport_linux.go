package ivt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"unicode"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// wire is the transport of Linux: Varlink on a Unix socket.
type wire struct {
	path, why string

	mu     sync.Mutex
	shared *session // nil: none, or broken
}

// A session is one with a registry: behind the same socket there may be another one later.
type session struct {
	*varlink.Conn
	registry string
}

func newTransport(path, why string) (transport, error) { return &wire{path: path, why: why}, nil }

// dial makes a session, and asks who answers. Whoever is refused that is refused what he asks for: what an unknown registry
// grants could not be told from what another one has.
func (w *wire) dial(ctx context.Context) (*session, error) {
	for tries := (attempts{}); ; {
		c, err := w.reach(ctx)
		if err != nil {
			return nil, err
		}
		var status api.StatusOut
		d, broken, err := exchange(ctx, c, "Status", nil, &status)
		switch {
		case err == nil:
			d.Close()
			return &session{c, status.Instance}, nil
		case errors.Is(err, irq.ErrNotSupported):
			return &session{c, ""}, nil // of a version that does not say
		}
		c.Close()
		if !broken {
			return nil, err
		}
		if !brokeOff(ctx, err) || !tries.another(ctx) {
			return nil, err
		}
	}
}

// reach opens a connection to the socket.
func (w *wire) reach(ctx context.Context) (*varlink.Conn, error) {
	c, err := varlink.Dial(ctx, w.path)
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, ended(ctx, "connect", w.path, "ivtd did not answer")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w at %s (%s): start one with ivtd, or sudo systemctl start ivtd: %w", ErrNoDaemon, w.path, w.why, err)
	case errors.Is(err, fs.ErrPermission):
		return nil, &irq.Error{Code: irq.ErrAccessDenied, Operation: "call ivtd", Reason: irq.ReasonDenied, Err: err,
			Detail: "the socket " + w.path + " does not let this user in", Remedies: []string{"ls -l " + w.path + "   says whom it lets in", "run your own ivtd, and use --user"}}
	}
	return nil, err
}

// session returns the shared session, or one that is the call's own. done is to be called when the call is over.
func (w *wire) session(ctx context.Context, alone bool) (s *session, done func(broken bool), err error) {
	if alone {
		s, err := w.dial(ctx)
		if err != nil {
			return nil, nil, err
		}
		return s, func(bool) { s.Close() }, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shared == nil {
		if s, err = w.dial(ctx); err != nil {
			return nil, nil, err
		}
		w.shared = s
	}
	s = w.shared
	return s, func(broken bool) {
		if broken {
			w.forget(s)
		}
	}, nil
}

// forget drops a session that failed, so that the next call makes another.
func (w *wire) forget(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shared == s {
		w.shared = nil
	}
	s.Close()
}

func (w *wire) call(ctx context.Context, method string, in, out any) error {
	return bound{w, ""}.call(ctx, method, in, out)
}

func (w *wire) receive(ctx context.Context, method string, in, out any, alone bool) (received, error) {
	return bound{w, ""}.receive(ctx, method, in, out, alone)
}

func (w *wire) more(ctx context.Context, method string, in any) (replies, error) {
	return bound{w, ""}.more(ctx, method, in)
}

func (w *wire) only(registry string) transport { return bound{w, registry} }

// exchange makes one call. broken says that the session is of no more use.
func exchange(ctx context.Context, c *varlink.Conn, method string, in, out any) (d *varlink.Descriptors, broken bool, err error) {
	d, err = c.CallDescriptors(ctx, api.Name+"."+method, in, out)
	if err == nil {
		return d, false, nil
	}
	var answer *varlink.Error
	broken = !errors.As(err, &answer) || answer.Name == varlink.ErrorTooManySessions
	return nil, broken, translate(ctx, method, err)
}

// translate makes an *irq.Error of every answer that is an error.
func translate(ctx context.Context, method string, err error) error {
	var answer *varlink.Error
	if !errors.As(err, &answer) {
		if ctx.Err() != nil {
			return ended(ctx, operation(method), "", "ivtd had not answered yet")
		}
		return fmt.Errorf("%w that answers: %w", ErrNoDaemon, err)
	}
	if e, ok := api.ParseError(answer.Name, answer.Parameters); ok {
		return e
	}
	e := &irq.Error{Operation: operation(method), Err: answer}
	switch answer.Name {
	case varlink.ErrorTooManySessions:
		e.Code, e.Reason, e.Detail = irq.ErrNoResources, irq.ReasonQuota, "ivtd has as many sessions as it takes"
		e.Remedies = []string{"close sessions that are not used", "let the administrator raise sessions_per_user in [limits] of the policy"}
	case varlink.ErrorInvalidParameter:
		e.Code, e.Reason, e.Detail = irq.ErrInvalidParameter, irq.ReasonMalformed, "ivtd does not take the parameter "+parameter(answer.Parameters)
	case varlink.ErrorPermissionDenied:
		e.Code, e.Reason = irq.ErrAccessDenied, irq.ReasonDenied
	case varlink.ErrorMethodNotFound, varlink.ErrorMethodNotImplemented, varlink.ErrorInterfaceNotFound:
		e.Code, e.Detail, e.Remedies = irq.ErrNotSupported, "this ivtd has no such call", []string{"upgrade ivtd", "ivt version"}
	default:
		return fmt.Errorf("%s: ivtd failed: %w", method, err)
	}
	return e
}

// operation is the method in words, as ivtd's errors have it: "set successor".
func operation(method string) string {
	var b strings.Builder
	for i, r := range method {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// parameter is the one that InvalidParameter names.
func parameter(parameters json.RawMessage) string {
	var p struct{ Parameter string }
	if json.Unmarshal(parameters, &p) != nil || p.Parameter == "" {
		return "that was sent"
	}
	return p.Parameter
}

// stream is a call with many replies on a session of its own.
type stream struct {
	ctx     context.Context // of the call that it is
	method  string
	session *session
	replies *varlink.Stream
}

func (s *stream) registry() string { return s.session.registry }

func (s *stream) next(out any) (more bool, err error) {
	switch err := s.replies.Next(out); {
	case err == nil:
		return true, nil
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return false, nil
	default:
		return false, translate(s.ctx, s.method, err)
	}
}

func (s *stream) close() {
	s.replies.Close() // ends the call by closing the session, which is what we want
	s.session.Close()
}

func (w *wire) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shared == nil {
		return nil
	}
	c := w.shared
	w.shared = nil
	return c.Close()
}
