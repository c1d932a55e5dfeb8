package varlink

import (
	"context"
	"sync"
	"time"
)

// A callContext is the context of one call. It ends when the call's peer hangs up, when the server
// is closed, and when the handler returns. Most handlers are done before they could wait for it, so
// the socket is watched only once somebody asks for Done.
type callContext struct {
	parent context.Context
	wire   *wire
	oneway bool // nobody waits for the answer, so a hang-up ends nothing

	mu     sync.Mutex
	over   bool            // the handler has returned
	inner  context.Context // nil until it is needed
	cancel context.CancelCauseFunc
	stop   func()
}

func (c *callContext) Deadline() (time.Time, bool) { return c.parent.Deadline() }

func (c *callContext) Done() <-chan struct{} { return c.watched().Done() }

// Err looks at the socket if nobody watches it.
func (c *callContext) Err() error {
	c.mu.Lock()
	inner, over := c.inner, c.over
	c.mu.Unlock()
	if inner != nil {
		return inner.Err()
	}
	if !over && c.parent.Err() == nil && (c.oneway || !c.wire.hungUp()) {
		return nil
	}
	inner = c.watched()
	<-inner.Done()
	return inner.Err()
}

// Value goes through the inner context, by which package context finds it and spares a goroutine.
func (c *callContext) Value(key any) any {
	c.mu.Lock()
	inner := c.inner
	c.mu.Unlock()
	if inner != nil {
		return inner.Value(key)
	}
	return c.parent.Value(key)
}

// watched returns the inner context, whose socket is being watched. After the call the socket is not
// touched any more.
func (c *callContext) watched() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner != nil {
		return c.inner
	}
	c.inner, c.cancel = context.WithCancelCause(c.parent)
	switch {
	case c.over:
		c.cancel(context.Canceled)
	case !c.oneway:
		c.stop = c.wire.watch(func() { c.cancel(ErrHungUp) })
	}
	return c.inner
}

// end is called when the handler has returned.
func (c *callContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.stop != nil {
		c.stop()
	}
	if c.cancel != nil {
		c.cancel(context.Canceled)
	}
}

// hungUp says whether the peer has closed its end.
func (w *wire) hungUp() bool {
	gone := true
	err := w.raw.Control(func(fd uintptr) { gone = hungUp(fd) })
	return err != nil || gone
}

// watch calls hung once if the peer closes its end before stop is called. It uses the wire's reading
// side, so nothing may be read meanwhile. Both return only when the watching goroutine has ended.
func (w *wire) watch(hung func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The poller wakes this for every message that arrives, too; a hang-up is what it waits for.
		if err := w.raw.Read(hungUp); err == nil {
			hung()
		}
	}()
	return func() {
		w.conn.SetReadDeadline(time.Unix(1, 0)) // ends the Read
		<-done
		w.conn.SetReadDeadline(time.Time{})
	}
}
