package irq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// The refusals of Connect, one function a kind. A vector that policy hides and one that is not there
// give the same, byte for byte.

func noSuchError(operation string, v Vector) *Error {
	return &Error{Code: ErrNoSuchDevice, Operation: operation, Vector: v, Reason: ReasonNoSuchSource, Detail: "there is no source " + v.Source,
		Remedies: []string{"ivt list", "attach the device, or look for a typing error"}}
}

func noSuchSourceError(operation, source string) *Error {
	return &Error{Code: ErrNoSuchDevice, Operation: operation, Name: source, Reason: ReasonNoSuchSource, Detail: "there is no such source",
		Remedies: []string{"ivt list", "attach the device, or look for a typing error"}}
}

func rangeError(operation string, v Vector, s *Source) *Error {
	e := &Error{Code: ErrInvalidParameter, Operation: operation, Vector: v, Reason: ReasonOutOfRange, Remedies: []string{"ivt list " + v.Source}}
	if g := s.group(v.Type); g != nil {
		e.Detail = "the source has indexes 0 to " + strconv.Itoa(g.Count-1)
	} else {
		e.Detail = "the source has no vectors of type " + strconv.Quote(v.Type)
	}
	return e
}

func leavingError(operation string, s *Source) *Error {
	return &Error{Code: ErrNotConnected, Operation: operation, Name: s.spec.Name, Reason: ReasonSourceGone, Detail: "the source is being detached"}
}

func deniedError(operation string, v Vector, err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known.forVector(operation, v)
	}
	return &Error{Code: ErrAccessDenied, Operation: operation, Vector: v, Reason: ReasonDenied, Err: err,
		Remedies: []string{"ask the administrator for an allow rule"}}
}

func quotaError(operation string, v Vector, requested, quota, used int) *Error {
	return &Error{Code: ErrNoResources, Operation: operation, Vector: v, Reason: ReasonQuota, Requested: requested, Free: max(0, quota-used),
		Detail:   fmt.Sprintf("the quota is %d vectors, %d are in use", quota, used),
		Remedies: []string{"disconnect vectors that are not needed", "ask the administrator for a larger quota"}}
}

func shortError(q *Request, s *Source, requested, free int, detail string) *Error {
	return &Error{Code: ErrNoResources, Operation: q.Operation, Name: s.spec.Name, Reason: ReasonNotEnoughVectors, Requested: requested, Free: free, Detail: detail,
		Remedies: []string{"ask for fewer", "wait for vectors to become free: ivt connect --wait", "ivt list " + s.spec.Name + " --held"}}
}

func busyError(q *Request, reason Reason, detail string, cs []Conflict) *Error {
	e := &Error{Code: ErrBusy, Operation: q.Operation, Reason: reason, Detail: detail, Conflicts: cs}
	for i := range cs {
		cs[i].Reason = reason
	}
	if len(q.Vectors) == 1 {
		e.Vector = q.Vectors[0]
	} else if q.Any != nil {
		e.Name = q.Any.Source
	}
	if len(cs) > 0 {
		e.Remedies = []string{"ivt who " + cs[0].Vector.String(), "end the driver that has the device, or wait for it: ivt connect --wait"}
	}
	return e
}

// heldError completes a refusal because of holders: vector, conflicts, what to do.
func heldError(q *Request, e *Error, found []Conflict) *Error {
	e.Operation, e.Conflicts = q.Operation, found
	if len(q.Vectors) == 1 {
		e.Vector = q.Vectors[0]
	}
	if e.Remedies == nil {
		e.Remedies = remediesFor(e)
	}
	return e
}

// remediesFor says what helps against a holder, most promising first.
func remediesFor(e *Error) []string {
	if len(e.Conflicts) == 0 {
		return nil
	}
	c := e.Conflicts[0]
	v := c.Vector.String()
	wait := "wait for it: ivt connect --wait " + v
	who := "see who has it: ivt who " + v
	switch e.Reason {
	case ReasonDraining:
		return []string{"try again: it is free when the former holder's handler has returned", wait}
	case ReasonOrphaned:
		return []string{wait, "restart the former driver, which may resume it", "ivt disconnect " + c.connection()}
	case ReasonSharerRefuses:
		return []string{"sharing needs the consent of all: every driver connects with --share", who, wait}
	case ReasonKernelHolds, ReasonForeignHolds:
		return []string{who}
	}
	return slices.DeleteFunc([]string{who, wait, "end the holder, or as administrator: ivt revoke " + c.connection(), "choose another vector: ivt list " + c.Vector.Source + " --free"},
		func(s string) bool { return s == "end the holder, or as administrator: ivt revoke " })
}

func (c Conflict) connection() string {
	for _, h := range c.Holders {
		if h.Connection != "" {
			return h.Connection
		}
	}
	return ""
}

// forVector returns a copy of e about that operation and vector, with what it says itself.
func (e *Error) forVector(operation string, v Vector) *Error {
	f := *e
	f.Operation = operation
	if f.Vector.IsZero() {
		f.Vector = v
	}
	return &f
}

// wiringError makes a refusal of what a Wiring returned.
func wiringError(operation string, v Vector, err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known.forVector(operation, v)
	}
	e := &Error{Code: ErrNoResources, Operation: operation, Vector: v, Detail: "the vector could not be wired", Err: err}
	for _, code := range Codes() {
		if code.matchesCause(err) {
			e.Code = code
			break
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		e.Code, e.Reason = ErrCancelled, ReasonCancelled
	case errors.Is(err, context.DeadlineExceeded):
		e.Code, e.Reason = ErrTimeout, ReasonTimeout
	case e.Code == ErrAlreadyConnected: // EBUSY: somebody has it of whom the registry does not know
		e.Reason = ReasonForeignHolds
	}
	return e
}
