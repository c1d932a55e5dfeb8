package ivt

import (
	"context"
	"errors"
	"time"
)

// brokeOff reports whether a call ended because ivtd went away, and not because its caller did.
func brokeOff(ctx context.Context, err error) bool {
	return ctx.Err() == nil && errors.Is(err, ErrNoDaemon)
}

// attempts are the tries of one call. A call that breaks session after session is given up: it may be what breaks them.
type attempts struct {
	quick int
	last  time.Time
}

const (
	mostAttempts = 12
	// A session that broke later than this after the former one was not broken by the call.
	unrelated = 2 * time.Second
)

// another waits before the next try: not at all at first, then longer and longer. It reports whether there is one.
func (a *attempts) another(ctx context.Context) bool {
	if time.Since(a.last) > unrelated {
		a.quick = 0
	}
	a.quick++
	if a.quick > mostAttempts {
		return false
	}
	if a.quick > 1 {
		select {
		case <-time.After(time.Millisecond << (a.quick - 2)):
		case <-ctx.Done():
			return false
		}
	}
	a.last = time.Now()
	return true
}
