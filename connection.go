package ivt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
)

// A Connection is vectors that are this process's own. Its methods may be called from any goroutine; Wait,
// Interrupts and Handle take turns.
type Connection struct {
	client     *Client
	options    options
	id         string
	generation uint64
	token      string
	slots      []line // one a vector, in the order of the request

	lifeline, device, container int         // -1: none, or handed on
	mapped                      []Registers // of the device; guarded by mu

	start   sync.Once // of what watches the lifeline and waits for interrupts
	failed  error     // why start failed
	waiting chan struct{}
	done    chan struct{}

	mu           sync.Mutex
	waiter       waiter     // nil until it is started; it then owns the descriptors of the slots
	watch        io.Closer  // the lifeline, once it is watched
	err          error      // why it is over
	disconnected bool       // by this process
	running      *goroutine // that is in Handle
}

// A line is one vector with its descriptors.
type line struct {
	vector   irq.Vector
	delivery irq.Delivery
	fd       int
	unmask   int // -1: none
}

// A waiter waits for the interrupts of a connection in one of the two styles.
type waiter interface {
	// under has a context end the waiting, until release.
	under(ctx context.Context) (release func())
	// wait returns the next interrupt. io.EOF says that a stream has ended.
	wait() (Interrupt, error)
	// acknowledge tells who keeps the line masked.
	acknowledge(i Interrupt, handled bool) error
	// close ends all waiting and closes the descriptors.
	close()
}

// ID names the connection; it is no key.
func (c *Connection) ID() string { return c.id }

// Generation counts how often the connection was resumed.
func (c *Connection) Generation() uint64 { return c.generation }

// Token is what [Client.Resume] wants after this process died; "" without [Grace].
func (c *Connection) Token() string { return c.token }

// Vectors returns the canonical names, in the order of the request.
func (c *Connection) Vectors() []irq.Vector {
	all := make([]irq.Vector, len(c.slots))
	for i, s := range c.slots {
		all[i] = s.vector
	}
	return all
}

// lines takes the descriptors of deliveries out of a reply.
func (c *Connection) lines(list []api.Delivery, d received) error {
	for _, one := range list {
		v, err := irq.ParseVector(one.Vector)
		if err != nil {
			return fmt.Errorf("connect: ivtd sent a vector of which this version does not know the name: %w", err)
		}
		l := line{vector: v, delivery: one.Kind, unmask: -1}
		if l.fd, err = d.Take(one.Descriptor); err != nil {
			return err
		}
		c.slots = append(c.slots, l)
		if one.Unmask != nil {
			if c.slots[len(c.slots)-1].unmask, err = d.Take(*one.Unmask); err != nil {
				return err
			}
		}
	}
	return nil
}

// nextPage fetches deliveries that did not fit into one message.
func (c *Connection) nextPage(ctx context.Context, after string) (next string, err error) {
	var out api.DeliveriesOut
	in := api.DeliveriesIn{Connection: c.id, Generation: c.generation, After: after}
	d, err := c.client.wire.receive(ctx, "Deliveries", in, &out, false)
	if err != nil {
		return "", err
	}
	defer d.Close()
	if len(out.Deliveries) == 0 {
		return "", errors.New("connect: ivtd sent an empty page")
	}
	return out.Next, c.lines(out.Deliveries, d)
}

// Done is closed when the connection is over; Err then says why.
func (c *Connection) Done() <-chan struct{} {
	c.begin()
	return c.done
}

// Err is nil while the connection lives, then irq.ErrNotConnected with its reason.
func (c *Connection) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// begin starts what needs the descriptors. Until then they can be handed on as they came.
func (c *Connection) begin() error {
	c.start.Do(func() {
		c.waiting = make(chan struct{}, 1)
		if c.failed = c.open(); c.failed != nil && !c.closedHere() {
			c.end(c.failed) // Disconnect, when it was first, still has to tell ivtd, and ends it itself
		}
	})
	return c.failed
}

// Wait returns the next interrupt of any of the vectors. Errors: irq.ErrNotConnected when the connection is over,
// irq.ErrTimeout and irq.ErrCancelled when the context is.
//
// On a level line the interrupt has to be acknowledged with [Connection.Ack].
func (c *Connection) Wait(ctx context.Context) (Interrupt, error) {
	if err := c.begin(); err != nil {
		return Interrupt{}, err
	}
	select {
	case c.waiting <- struct{}{}:
		defer func() { <-c.waiting }()
	case <-ctx.Done():
		return Interrupt{}, ended(ctx, "wait", c.id, "another goroutine waits")
	}
	defer c.waiter.under(ctx)()
	i, err := c.waiter.wait()
	if err != nil {
		return i, c.why(ctx, err)
	}
	return i, nil
}

// Interrupts iterates over the interrupts until the loop is left, or over the one error that ends them. Each
// acknowledges the former one as handled.
func (c *Connection) Interrupts(ctx context.Context) iter.Seq2[Interrupt, error] {
	return func(yield func(Interrupt, error) bool) {
		for {
			i, err := c.Wait(ctx)
			if !yield(i, err) || err != nil {
				return
			}
			if err := c.Ack(i, true); err != nil {
				yield(Interrupt{}, err)
				return
			}
		}
	}
}

// Handle calls f for each interrupt, one at a time, and acknowledges with its verdict: irq.Pending leaves that
// to [Connection.Ack], irq.Done disconnects. It returns nil after irq.Done and after Disconnect, otherwise
// why it ended. With [Dedicated] f runs on a thread of its own.
//
// When Disconnect returns, f does not run and will not again (rule 5); f itself ends the connection by irq.Done.
func (c *Connection) Handle(ctx context.Context, f func(Interrupt) irq.Verdict) error {
	if err := c.begin(); err != nil {
		return err
	}
	me, err := c.enter(ctx)
	if err != nil {
		return err
	}
	verdict, err := c.handle(ctx, f)
	c.leave(me)
	if verdict == irq.Done {
		return c.Disconnect(ctx)
	}
	if c.closedHere() {
		return nil
	}
	return err
}

// handle is the loop of Handle. It returns irq.Done when f did.
func (c *Connection) handle(ctx context.Context, f func(Interrupt) irq.Verdict) (irq.Verdict, error) {
	defer c.lockThread()()
	defer c.waiter.under(ctx)()
	for {
		i, err := c.waiter.wait()
		if err != nil {
			return irq.Handled, c.why(ctx, err)
		}
		verdict := f(i)
		if verdict == irq.Pending {
			continue
		}
		if err := c.Ack(i, verdict != irq.Unhandled); err != nil || verdict == irq.Done {
			return verdict, err
		}
	}
}

// Ack acknowledges an interrupt that Wait returned or whose handler returned irq.Pending. handled false says that
// it was not this driver's device (rule 11). Where nothing waits for it, it costs nothing.
func (c *Connection) Ack(i Interrupt, handled bool) error {
	if !i.Level && handled {
		return nil
	}
	if err := c.begin(); err != nil {
		return err
	}
	if err := c.waiter.acknowledge(i, handled); err != nil {
		return c.afterEnd(err)
	}
	return nil
}

// Mask holds back the interrupts of a vector: they are pending until Unmask. irq.ErrNotSupported where that cannot be.
func (c *Connection) Mask(ctx context.Context, v irq.Vector) error {
	if err := c.stillOurs(); err != nil {
		return err
	}
	return c.client.Mask(ctx, c.id, c.generation, v)
}

// Unmask undoes Mask.
func (c *Connection) Unmask(ctx context.Context, v irq.Vector) error {
	if err := c.stillOurs(); err != nil {
		return err
	}
	return c.client.Unmask(ctx, c.id, c.generation, v)
}

// SetSuccessor names the process that goes first among those who wait when the connection ends; 0 is nobody.
func (c *Connection) SetSuccessor(ctx context.Context, pid int) error {
	if err := c.stillOurs(); err != nil {
		return err
	}
	in := api.SetSuccessorIn{ConnectionIn: api.ConnectionIn{Connection: c.id, Generation: c.generation}, PID: pid}
	return c.client.wire.call(ctx, "SetSuccessor", in, nil)
}

// Disconnect ends the connection. When it returns nothing more is delivered, and a handler neither runs nor will
// (rule 5); only when it is called by the handler itself does it not wait for that. A second call is irq.ErrNotConnected.
func (c *Connection) Disconnect(ctx context.Context) error {
	c.mu.Lock()
	before := c.disconnected
	c.disconnected = true
	c.mu.Unlock()
	if before {
		return over(c.id, irq.ReasonClosed, "it was disconnected already")
	}
	err := c.stillOurs()
	c.closeDevice() // before ivtd looks who still has it
	if err == nil {
		err = c.client.Disconnect(ctx, c.id, c.generation)
	}
	c.end(nil)
	c.closeFiles() // should ivtd not have answered, the lifeline tells it
	if running := c.handling(); running != nil && !running.isMe() {
		select {
		case <-running.left:
		case <-ctx.Done():
			return errors.Join(err, ended(ctx, "disconnect", c.id, "the handler still runs"))
		}
	}
	return err
}
