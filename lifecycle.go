package ivt

import (
	"context"
	"errors"
	"io"
	"runtime"
	"time"

	"github.com/ivtd/ivt/irq"
)

// enter takes the turn of who handles interrupts.
func (c *Connection) enter(ctx context.Context) (*goroutine, error) {
	select {
	case c.waiting <- struct{}{}:
	case <-ctx.Done():
		return nil, ended(ctx, "handle", c.id, "another goroutine waits")
	}
	me := newGoroutine()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = me
	return me, nil
}

func (c *Connection) leave(me *goroutine) {
	c.mu.Lock()
	c.running = nil
	c.mu.Unlock()
	close(me.left)
	<-c.waiting
}

// handling returns the goroutine that is in Handle, nil for none.
func (c *Connection) handling() *goroutine {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// lockThread gives the calling goroutine a thread of its own, for the dedicated style.
func (c *Connection) lockThread() (unlock func()) {
	if !c.options.dedicated {
		return func() {}
	}
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

// why says what the end of waiting means.
func (c *Connection) why(ctx context.Context, err error) error {
	if ctx.Err() != nil && c.Err() == nil {
		return ended(ctx, "wait", c.id, "no interrupt came")
	}
	return c.afterEnd(err)
}

// endsTogether is how long the lifeline may take to say why, after a stream has ended.
const endsTogether = time.Second

// afterEnd puts the reason for the connection's end in the place of an error that it caused.
func (c *Connection) afterEnd(err error) error {
	select {
	case <-c.done:
		return c.Err()
	case <-time.After(endsTogether):
	}
	if errors.Is(err, io.EOF) {
		return over(c.id, irq.ReasonClosed, "the stream has ended")
	}
	return err
}

// end marks the connection as over, once.
func (c *Connection) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	if c.err = why; c.disconnected {
		c.err = over(c.id, irq.ReasonClosed, "this process disconnected it")
	}
	close(c.done)
}

// stillOurs is nil while the connection lives. Its id means something to the ivtd that granted it only, so a call about
// it is not made once the lifeline has hung up: there may be another ivtd by now, with ids of its own.
func (c *Connection) stillOurs() error {
	if err := c.Err(); err != nil {
		return err
	}
	if c.hungUp() {
		return over(c.id, irq.ReasonClosed, "ivtd hung up: it was revoked, or ivtd was stopped or killed")
	}
	return nil
}

// closedHere reports whether the connection ended because this process disconnected it.
func (c *Connection) closedHere() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.disconnected
}

// tell passes a notice on.
func (c *Connection) tell(n Notice) {
	if c.options.notice != nil {
		c.options.notice(n)
	}
}
