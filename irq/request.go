package irq

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// MaxVectors is the most vectors that one request may name or ask for.
const MaxVectors = 1 << 16

// A Request asks for vectors.
type Request struct {
	Vectors   []Vector // all or none
	Any       *Any     // instead of Vectors: any free ones
	Shared    bool     // consent to share (rule 2)
	Trigger   Trigger
	Access    Access        // default AccessIRQ
	Consent   bool          // with AccessDevice: irq grants beside it are allowed
	Holder    Holder        // default: this process
	Handler   Handler       // in-process delivery; a source with a Wiring sees it in Claim, and may ignore it
	Wait      bool          // queue until free; the deadline is the context's (ErrTimeout, ErrCancelled)
	Grace     time.Duration // after the holder's death the vectors are kept for a Resume
	DryRun    bool          // check everything, change nothing; Connect returns (nil, nil) if it would succeed now
	Operation string        // for errors; default "connect"
	Gate      Gate          // visibility and policy; nil allows all. Asked again when a waiter is granted
	// OnNotice tells of a coming or done end: revocation with deadline, source leaving, end. Called
	// without a lock, in order, the last one before Done is closed; it must not wait. Optional.
	OnNotice func(Notice)
	// OnWait is called once if the request is queued, with its turn: waiters are served in ascending
	// order of it. A waiter that queues again after a restart passes it as Turn and keeps its place.
	OnWait func(turn uint64)
	Turn   uint64 // default: behind everybody
}

// Any asks for any Count free vectors of a source, lowest index first.
type Any struct {
	Source string
	Type   string // "" = the only or preferred type: msix before msi before intx
	Count  int
}

// A Gate is who may see and have what (rule 3: visibility, then policy, then conflict). It is called
// with the registry locked: it must be quick and must not call back. Vectors are canonical, except
// those that do not exist, which are only asked about with Visible.
type Gate interface {
	Visible(v Vector) bool // false: answered as if the source were not there (433)
	// Allow returns the account that the vector counts against and its quota (0: none), or a refusal (ErrAccessDenied).
	Allow(v Vector, r *Request) (account string, quota int, err error)
}

// A Notice tells a holder of the end of its connection.
type Notice struct {
	Connection string
	Generation uint64
	Reason     Reason    // ReasonRevoked, ReasonSourceGone, ReasonClosed, …
	Detail     string    // why, for people
	Deadline   time.Time // zero: it is over now
	Err        *Error    // set when over
}

var thisProcess = sync.OnceValue(func() Holder {
	h := Holder{Kind: HolderProcess, PID: os.Getpid(), Command: filepath.Base(os.Args[0])}
	if uid, gid := os.Getuid(), os.Getgid(); uid >= 0 {
		h.UID, h.GID = &uid, &gid
	}
	return h
})

// complete fills in the defaults.
func (q *Request) complete() {
	if q.Operation == "" {
		q.Operation = "connect"
	}
	if q.Holder.Kind == "" {
		q.Holder.Kind = HolderProcess
		if q.Holder.PID == 0 {
			label := q.Holder.Label
			q.Holder = thisProcess()
			q.Holder.Label = label
		}
	}
	if q.Access == "" {
		q.Access = AccessIRQ
	}
}

// malformed tells what no registry could grant, whatever it holds.
func (q *Request) malformed() *Error {
	bad := func(detail string) *Error {
		return &Error{Code: ErrInvalidParameter, Operation: q.Operation, Reason: ReasonMalformed, Detail: detail}
	}
	switch {
	case q.Any != nil && len(q.Vectors) > 0:
		return bad("it names vectors and asks for any")
	case q.Any != nil && q.Any.Count < 1, q.Any == nil && len(q.Vectors) == 0:
		return bad("it asks for no vector")
	case q.Any != nil && q.Any.Count > MaxVectors, len(q.Vectors) > MaxVectors:
		return bad("it asks for more than " + strconv.Itoa(MaxVectors) + " vectors")
	case q.Trigger != TriggerDefault && q.Trigger != TriggerEdge && q.Trigger != TriggerLevel:
		return bad("there is no such trigger")
	case q.Access != AccessIRQ && q.Access != AccessDevice:
		return bad("there is no such access")
	case q.Grace < 0:
		return bad("the grace is negative")
	case q.Any != nil:
		if _, err := ParseSource(q.Any.Source); err != nil {
			return &Error{Code: ErrInvalidParameter, Operation: q.Operation, Name: q.Any.Source, Reason: ReasonMalformed, Detail: "the source is malformed"}
		}
		return nil
	}
	return q.duplicates()
}

// duplicates tells of malformed vectors and of one that is named twice.
func (q *Request) duplicates() *Error {
	var seen map[Vector]struct{}
	if len(q.Vectors) > 1 {
		seen = make(map[Vector]struct{}, len(q.Vectors))
	}
	for _, v := range q.Vectors {
		if !v.valid() {
			return &Error{Code: ErrInvalidParameter, Operation: q.Operation, Name: v.String(), Reason: ReasonMalformed, Detail: "this names no vector"}
		}
		if _, twice := seen[v]; twice {
			return twiceError(q, v)
		}
		if seen != nil {
			seen[v] = struct{}{}
		}
	}
	return nil
}

func twiceError(q *Request, v Vector) *Error {
	return &Error{Code: ErrInvalidParameter, Operation: q.Operation, Vector: v, Reason: ReasonMalformed, Detail: "the vector is named twice"}
}

// endedError is what a context that is over means.
func endedError(operation string, ctx context.Context) *Error {
	e := &Error{Code: ErrCancelled, Operation: operation, Reason: ReasonCancelled, Err: context.Cause(ctx)}
	if ctx.Err() == context.DeadlineExceeded {
		e.Code, e.Reason = ErrTimeout, ReasonTimeout
	}
	return e
}
