package ivt

import (
	"context"
	"errors"

	"github.com/ivtd/ivt/irq"
)

// ErrNoDaemon: there is no ivtd where it was looked for. The error around it says where, and how to start one.
var ErrNoDaemon = errors.New("no ivtd")

// ended turns the end of a context into the code for it (rule 10).
func ended(ctx context.Context, operation, subject, detail string) error {
	cause := context.Cause(ctx)
	e := &irq.Error{Code: irq.ErrCancelled, Operation: operation, Name: subject, Reason: irq.ReasonCancelled, Detail: detail, Err: cause}
	if errors.Is(cause, context.DeadlineExceeded) {
		e.Code, e.Reason = irq.ErrTimeout, irq.ReasonTimeout
	}
	return e
}

// over says that a connection has ended.
func over(id string, reason irq.Reason, detail string) *irq.Error {
	return &irq.Error{Code: irq.ErrNotConnected, Operation: "wait", Name: id, Reason: reason, Detail: detail, Remedies: []string{"connect again"}}
}

// malformed says that something was asked for that cannot be.
func malformed(operation, name, detail string) error {
	return &irq.Error{Code: irq.ErrInvalidParameter, Operation: operation, Name: name, Reason: irq.ReasonMalformed, Detail: detail,
		Remedies: []string{"ivt explain 87"}}
}
