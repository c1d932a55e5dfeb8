package ivt

import (
	"context"
	"errors"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// bound is a wire for calls to one registry; with "" to whichever there is, until a call was sent. When ivtd's worker is
// killed or replaced during a call, the call is sent again, to the same registry only: what it had granted without an
// answer it took back, and a place in a queue is the process's.
type bound struct {
	*wire
	of string
}

func (b bound) call(ctx context.Context, method string, in, out any) error {
	d, err := b.receive(ctx, method, in, out, false)
	if err == nil {
		d.Close()
	}
	return err
}

func (b bound) receive(ctx context.Context, method string, in, out any, alone bool) (received, error) {
	sent := false
	for tries := (attempts{}); ; {
		s, done, err := b.session(ctx, alone)
		if err != nil {
			return nil, instead(err, method)
		}
		if b.of != "" && s.registry != b.of {
			done(false)
			return nil, another(method, b.path)
		}
		d, broken, err := exchange(ctx, s.Conn, method, parameters(in), out)
		done(broken)
		switch {
		case err == nil:
			return granted{d, s.registry}, nil
		case sent && method == "Disconnect" && errors.Is(err, irq.ErrNotConnected):
			return granted{nil, s.registry}, nil // the first one did it
		case !broken || !brokeOff(ctx, err):
			return nil, err
		}
		if arrived := !errors.Is(err, varlink.ErrHungUp); arrived {
			sent, b.of = true, s.registry
		}
		// Ringing twice is no better than not at all, so the caller decides.
		if sent && (method == "Raise" || b.of == "") || !tries.another(ctx) {
			return nil, err
		}
	}
}

func (b bound) more(ctx context.Context, method string, in any) (replies, error) {
	s, err := b.dial(ctx)
	if err != nil {
		return nil, instead(err, method)
	}
	if b.of != "" && s.registry != b.of {
		s.Close()
		return nil, another(method, b.path)
	}
	r, err := s.More(ctx, api.Name+"."+method, in)
	if err != nil {
		s.Close()
		return nil, translate(ctx, method, err)
	}
	return &stream{ctx: ctx, method: method, session: s, replies: r}, nil
}

// instead makes a refusal to say who answers the refusal of the call.
func instead(err error, method string) error {
	var refusal *irq.Error
	if errors.As(err, &refusal) && refusal.Operation == operation("Status") {
		refusal.Operation = operation(method)
	}
	return err
}

// parameters are those of one try.
func parameters(in any) any {
	if now, ok := in.(func() any); ok {
		return now()
	}
	return in
}

// granted is a reply's descriptors with who sent them.
type granted struct {
	*varlink.Descriptors
	registry string
}

func (g granted) Registry() string { return g.registry }

// another says that what the call is about is gone with its registry.
func another(method, path string) error {
	return &irq.Error{Code: irq.ErrNotConnected, Operation: operation(method), Reason: irq.ReasonClosed,
		Detail: "another registry serves " + path + " now: ivtd was started anew, and what the former one had granted is over", Remedies: []string{"connect again"}}
}
