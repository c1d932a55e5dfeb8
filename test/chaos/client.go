package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// A client is a process that does random things to random vectors.
type client struct {
	*ivt.Client
	w    *witness
	r    *rand.Rand
	held []holding
	raw  []net.Conn
}

type holding struct {
	c    *ivt.Connection
	v    int
	mine uint64
}

func (c *client) run() {
	for {
		if c.w.word(atOps).Add(1); len(c.held) > 3 {
			c.letGo()
			continue
		}
		switch v := c.r.IntN(32); c.r.IntN(12) {
		case 0, 1, 2:
			c.connect(v, time.Second)
		case 3:
			c.connect(v, 50*time.Millisecond, ivt.Wait())
		case 4:
			c.any()
		case 5:
			c.share()
		case 6:
			c.expect(c.Raise(within(time.Second), name(v), 1+c.r.Uint64N(3)))
		case 7:
			if len(c.held) > 0 {
				h := c.held[c.r.IntN(len(c.held))]
				c.expect(h.c.Mask(within(time.Second), h.c.Vectors()[0]))
				c.expect(h.c.Unmask(within(time.Second), h.c.Vectors()[0]))
			}
		case 8:
			if len(c.held) > 0 {
				c.expect(c.held[0].c.SetSuccessor(within(time.Second), os.Getppid()))
			}
		case 9:
			c.halfClosed()
		default:
			c.letGo()
		}
	}
}

func watched(n int) string { return fmt.Sprintf("soft:watched/%d", n) }

func name(v int) string { return fmt.Sprintf("soft:chaos/%d", v) }

// within is a context that ends by itself, and is let go then.
func within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func (c *client) connect(v int, patience time.Duration, options ...ivt.Option) {
	epoch := c.w.epoch()
	k, err := c.Connect(within(patience), name(v), options...)
	if err != nil {
		c.expect(err)
		return
	}
	c.take(k, epoch)
}

func (c *client) any() {
	epoch := c.w.epoch()
	k, err := c.Connect(within(time.Second), "soft:chaos", ivt.Any(2))
	if err != nil {
		c.expect(err)
		return
	}
	c.take(k, epoch)
}

func (c *client) share() {
	k, err := c.Connect(within(time.Second), fmt.Sprintf("soft:shared/%d", c.r.IntN(4)), ivt.Shared())
	if err != nil {
		c.expect(err)
		return
	}
	c.held = append(c.held, holding{c: k, v: -1})
}

func (c *client) take(k *ivt.Connection, epoch uint64) {
	for _, v := range k.Vectors() {
		c.held = append(c.held, holding{k, v.Index, c.w.own(v.Index, epoch)})
	}
}

// letGo ends the oldest connection, sometimes by closing it without a word.
func (c *client) letGo() {
	if len(c.held) == 0 {
		return
	}
	k := c.held[0].c
	var rest []holding
	for _, h := range c.held {
		if h.c != k {
			rest = append(rest, h)
		} else if h.v >= 0 {
			c.w.disown(h.v, h.mine)
		}
	}
	c.held = rest
	c.expect(k.Disconnect(within(time.Second)))
}

// halfClosed leaves sessions behind that are no use to anybody.
func (c *client) halfClosed() {
	conn, err := net.Dial("unix", c.Socket())
	if err != nil {
		return
	}
	conn.Write([]byte(`{"method":"io.ivtd.interrupts.Connect","parameters":{"vectors":["soft:chaos/3"`))
	conn.(*net.UnixConn).CloseWrite()
	if c.raw = append(c.raw, conn); len(c.raw) > 4 {
		c.raw[0].Close()
		c.raw = c.raw[1:]
	}
}

// expect counts errors that nobody should see. ivtd may be away while its keeper is replaced.
func (c *client) expect(err error) {
	for _, may := range []error{nil, irq.ErrAlreadyConnected, irq.ErrStillConnected, irq.ErrTimeout, irq.ErrNotConnected, irq.ErrCancelled, irq.ErrNoResources, ivt.ErrNoDaemon} {
		if errors.Is(err, may) {
			return
		}
	}
	c.w.word(atFailed).Add(1)
	fmt.Fprintln(os.Stderr, "client:", err)
}

// sentinel holds one vector as long as there is an ivtd, and notes what was rung when it was woken.
func (c *client) sentinel(n int) {
	for {
		k, err := c.Connect(within(10*time.Second), watched(n), ivt.Wait())
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		for {
			c.w.word(atSeen + n).Store(c.w.word(atRung + n).Load())
			if _, err := k.Wait(context.Background()); err != nil {
				break
			}
		}
	}
}

// An operation is what a checked client did, for the model.
type operation struct {
	Client, Vector int
	Connect        bool
	Granted        bool
	Unknown        bool // nobody can say whether it took effect
	Call, Return   int64
}

// checked connects and disconnects a few vectors as fast as it can, and writes down what came of it.
func (c *client) checked(n int, out *json.Encoder) {
	for epoch := c.w.epoch(); epoch > 0; epoch = c.w.epoch() {
		v := c.r.IntN(3)
		o := operation{Client: n, Vector: v, Connect: true, Call: kernel.Monotonic()}
		k, err := c.Connect(within(20*time.Second), fmt.Sprintf("soft:checked/%d", v))
		o.Return, o.Granted = kernel.Monotonic(), err == nil
		o.Unknown = err != nil && !errors.Is(err, irq.ErrAlreadyConnected) && !errors.Is(err, irq.ErrStillConnected)
		out.Encode(o)
		c.w.word(atOps).Add(1)
		if err != nil {
			c.expect(err)
			continue
		}
		mine := c.w.own(atChecked+v, epoch)
		c.w.disown(atChecked+v, mine)
		o = operation{Client: n, Vector: v, Call: kernel.Monotonic()}
		err = k.Disconnect(within(20 * time.Second))
		o.Return, o.Granted = kernel.Monotonic(), err == nil
		o.Unknown = err != nil
		out.Encode(o)
		c.w.word(atOps).Add(1)
	}
}
