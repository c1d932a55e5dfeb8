package ivt

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
)

// A Client talks to one ivtd. The functions of this package that connect use one Client for each socket;
// a program that wants another makes it with [NewClient]. Its methods may be called from any goroutine.
type Client struct {
	wire   transport
	socket string
}

// NewClient returns a client of the ivtd that the options name. It connects when it is needed, and again
// after ivtd was restarted.
func NewClient(list ...Option) (*Client, error) {
	path, why, err := optionsOf(list).where.path()
	if err != nil {
		return nil, err
	}
	wire, err := newTransport(path, why)
	if err != nil {
		return nil, err
	}
	return &Client{wire, path}, nil
}

// Dial is NewClient for who wants to know now whether there is an ivtd: ErrNoDaemon.
func Dial(ctx context.Context, list ...Option) (*Client, error) {
	c, err := NewClient(list...)
	if err != nil {
		return nil, err
	}
	if _, err := c.Status(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Socket returns where ivtd is looked for.
func (c *Client) Socket() string { return c.socket }

// Close ends the client's session. Connections that were made with it stay, until they are disconnected or
// the process ends; calls on them make a session again.
func (c *Client) Close() error { return c.wire.close() }

// shared are the clients that the package's functions use, by socket.
var shared struct {
	sync.Mutex
	clients map[string]*Client
}

func clientFor(list []Option) (*Client, error) {
	c, err := NewClient(list...)
	if err != nil {
		return nil, err
	}
	shared.Lock()
	defer shared.Unlock()
	if known := shared.clients[c.socket]; known != nil {
		return known, nil
	}
	if shared.clients == nil {
		shared.clients = map[string]*Client{}
	}
	shared.clients[c.socket] = c
	return c, nil
}

// Connect claims a vector by any of its names, or with [Any] some of a source. The context bounds the call, and
// the waiting if [Wait] is among the options; the connection does not end with it.
//
// Errors: every code of package irq, [ErrNoDaemon].
func Connect(ctx context.Context, vector string, list ...Option) (*Connection, error) {
	c, err := clientFor(list)
	if err != nil {
		return nil, err
	}
	return c.Connect(ctx, vector, list...)
}

// ConnectAll claims several vectors, all or none.
func ConnectAll(ctx context.Context, vectors []string, list ...Option) (*Connection, error) {
	c, err := clientFor(list)
	if err != nil {
		return nil, err
	}
	return c.ConnectAll(ctx, vectors, list...)
}

// Watch is [Client.Watch] of the ivtd that the options name.
func Watch(ctx context.Context, source string, since uint64, list ...Option) iter.Seq2[Update, error] {
	c, err := clientFor(list)
	if err != nil {
		return func(yield func(Update, error) bool) { yield(Update{}, err) }
	}
	return c.Watch(ctx, source, since)
}

// Connect is the package's Connect with this client.
func (c *Client) Connect(ctx context.Context, vector string, list ...Option) (*Connection, error) {
	return c.ConnectAll(ctx, []string{vector}, list...)
}

// ConnectAll is the package's ConnectAll with this client.
func (c *Client) ConnectAll(ctx context.Context, vectors []string, list ...Option) (*Connection, error) {
	if len(vectors) == 0 {
		return nil, malformed("connect", "", "no vector is named")
	}
	o := optionsOf(list)
	if err := o.check(vectors); err != nil {
		return nil, err
	}
	if o.wait && o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	asked := ctx
	if o.wait {
		var cancel context.CancelFunc
		ctx, cancel = patient(ctx)
		defer cancel()
	}
	method, in := "Connect", func() any {
		return api.ConnectIn{Vectors: vectors, Shared: o.shared, Trigger: o.trigger, Access: o.access, Consent: o.consent, Terms: o.terms(asked)}
	}
	if o.any > 0 {
		method, in = "ConnectAny", func() any {
			return api.ConnectAnyIn{Source: vectors[0], Type: o.kind, Count: o.any, Trigger: o.trigger, Terms: o.terms(asked)}
		}
	}
	var out api.ConnectOut
	descriptors, err := c.wire.receive(ctx, method, in, &out, o.wait)
	if err != nil || o.dryRun {
		return nil, err
	}
	defer descriptors.Close()
	return c.take(ctx, o, out, descriptors)
}

// check says what ivtd could not.
func (o options) check(vectors []string) error {
	switch {
	case o.grace < 0 || o.timeout < 0:
		return malformed("connect", "", "a negative time")
	case o.any > 0 && len(vectors) != 1:
		return malformed("connect", "", "Any wants the name of one source")
	}
	return nil
}

// terms are what both methods have in common, as they are now. Where the context has a deadline ivtd is told of it,
// for its answer then says who is in the way.
func (o options) terms(ctx context.Context) api.Terms {
	t := api.Terms{Label: o.label, Wait: o.wait, DryRun: o.dryRun, Grace: int64((o.grace + time.Second - 1) / time.Second)}
	if deadline, ok := ctx.Deadline(); ok && o.wait {
		t.Timeout = max(1, time.Until(deadline).Milliseconds())
	}
	return t
}

// patient lets a call outlive the deadline by a little: ivtd knows the deadline and answers at it.
func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if context.Cause(ctx) == context.DeadlineExceeded {
			time.AfterFunc(time.Second, func() { cancel(context.DeadlineExceeded) })
			return
		}
		cancel(context.Cause(ctx))
	})
	return longer, func() { stop(); cancel(nil) }
}

// take makes a connection of a reply, and fetches what did not fit into it.
func (c *Client) take(ctx context.Context, o options, out api.ConnectOut, d received) (*Connection, error) {
	c = &Client{c.wire.only(d.Registry()), c.socket}
	k := &Connection{client: c, options: o, id: out.Connection, generation: out.Generation, token: out.Token, done: make(chan struct{})}
	k.lifeline, k.device, k.container = -1, -1, -1
	err := k.lines(out.Deliveries, d)
	for _, one := range []struct {
		index *int
		to    *int
	}{{out.Lifeline, &k.lifeline}, {out.Device, &k.device}, {out.Container, &k.container}} {
		if err == nil && one.index != nil {
			*one.to, err = d.Take(*one.index)
		}
	}
	for next := out.Next; err == nil && next != ""; {
		next, err = k.nextPage(ctx, next)
	}
	if err == nil && k.lifeline < 0 {
		err = fmt.Errorf("connect: ivtd sent no lifeline")
	}
	if err != nil {
		k.closeFiles() // the lifeline among them: ivtd takes back what it granted
		return nil, err
	}
	return k, nil
}

// Resume takes over the connection of a process that died within its grace, for the program started in its
// place: same user, same unit. The descriptors are those of the connection's next generation.
//
// Errors: irq.ErrAccessDenied (another user, unit or token), irq.ErrAlreadyConnected (the former process lives),
// irq.ErrNotConnected (the grace is over).
func (c *Client) Resume(ctx context.Context, connection, token string, list ...Option) (*Connection, error) {
	var out api.ResumeOut
	descriptors, err := c.wire.receive(ctx, "Resume", api.ResumeIn{Connection: connection, Token: token}, &out, false)
	if err != nil {
		return nil, err
	}
	defer descriptors.Close()
	return c.take(ctx, optionsOf(list), api.ConnectOut{Connection: connection, Generation: out.Generation, Token: out.Token,
		Lifeline: out.Lifeline, Deliveries: out.Deliveries, Next: out.Next}, descriptors)
}

// Raise rings a vector n times: a doorbell, or a device's vector for a test of it (administrators).
func (c *Client) Raise(ctx context.Context, vector string, n uint64) error {
	return c.wire.call(ctx, "Raise", api.RaiseIn{Vector: vector, Count: n}, nil)
}

// Revoke takes a connection from its holder after grace, in whole seconds (administrators).
func (c *Client) Revoke(ctx context.Context, connection string, grace time.Duration, why string) error {
	return c.wire.call(ctx, "Revoke", api.RevokeIn{Connection: connection, Grace: int64(grace / time.Second), Why: why}, nil)
}

// Detach lets a source go (administrators). While it is connected it is irq.ErrStillConnected, unless force.
func (c *Client) Detach(ctx context.Context, source string, force bool) error {
	return c.wire.call(ctx, "Detach", api.DetachIn{Source: source, Force: force}, nil)
}

// Disconnect, Mask and Unmask are those of a [Connection] by its id, for its holder's process and for
// administrators. Generation 0 is the present one.
func (c *Client) Disconnect(ctx context.Context, connection string, generation uint64) error {
	return c.wire.call(ctx, "Disconnect", api.ConnectionIn{Connection: connection, Generation: generation}, nil)
}

// Mask masks one vector of a connection, see Disconnect.
func (c *Client) Mask(ctx context.Context, connection string, generation uint64, v irq.Vector) error {
	return c.wire.call(ctx, "Mask", maskIn(connection, generation, v), nil)
}

// Unmask unmasks it.
func (c *Client) Unmask(ctx context.Context, connection string, generation uint64, v irq.Vector) error {
	return c.wire.call(ctx, "Unmask", maskIn(connection, generation, v), nil)
}

func maskIn(connection string, generation uint64, v irq.Vector) api.MaskIn {
	return api.MaskIn{ConnectionIn: api.ConnectionIn{Connection: connection, Generation: generation}, Vector: v.String()}
}
