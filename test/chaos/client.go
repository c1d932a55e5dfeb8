package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/chaos/witness"
)

// A client is a process that does random things to random vectors. What its nth call is depends on the seed, on the
// client's number and on n only, not on what came of the calls before.
type client struct {
	*ivt.Client
	w       *witness.Witness
	journal *journal
	number  uint64
	slot    int
	seed    uint64
	round   uint64
	calls   uint64
	poor    bool // it has hardly any descriptors
	r       *rand.Rand
	held    []holding
	raw     []net.Conn
}

// A holding is a connection with what was said of it elsewhere.
type holding struct {
	c       *ivt.Connection
	vectors []int // none if it is shared
	claims  []uint64
	grant   uint64
}

const (
	perRound = 32 // vectors that a round is about
	rounds   = 2  // sets of them: one is settled while the other is used
	most     = 3  // connections that a client keeps
	patience = 20 * time.Second
)

// vector is the number of one of the round's.
func (c *client) vector() int { return int(c.round%rounds)*perRound + c.r.IntN(perRound) }

func source(round uint64) string { return fmt.Sprintf("soft:set%d", round%rounds) }

// name is the vector's: each set is a source of its own.
func name(v int) string { return fmt.Sprintf("soft:set%d/%d", v/perRound, v%perRound) }

func watched(n int) string { return fmt.Sprintf("soft:watched/%d", n) }

// run lives until its journal is full.
func (c *client) run() {
	for !c.journal.full() {
		if round := c.w.Word(atRound).Load(); round != c.round {
			c.letGoAll()
			c.round = round
			c.w.Word(atSlot + c.slot).Store(round)
			continue // it may be over by now; from here on who ends it waits for us
		}
		c.r = rand.New(rand.NewPCG(c.seed, c.number<<32|c.calls))
		c.calls++
		c.w.Word(atCalls).Add(1)
		if len(c.held) > most {
			c.letGo(0)
			continue
		}
		c.act(c.r.IntN(32))
	}
	c.letGoAll()
}

// timely makes one call, which has so long.
func (c *client) timely(call func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return call(ctx)
}

// act does one thing of those whose shares of 32 are these.
func (c *client) act(choice int) {
	switch {
	case choice < 9:
		c.connect([]int{c.vector()})
	case choice < 10:
		c.connect([]int{c.vector()}, ivt.WaitFor(300*time.Millisecond))
	case choice < 12:
		c.connectAll()
	case choice < 14:
		c.any()
	case choice < 15:
		c.share()
	case choice < 17:
		c.expect(c.timely(func(ctx context.Context) error { return c.Raise(ctx, name(c.vector()), 1+c.r.Uint64N(3)) }))
	case choice < 18:
		c.maskOne()
	case choice < 19:
		if len(c.held) > 0 {
			k := c.held[c.r.IntN(len(c.held))].c
			c.expect(c.timely(func(ctx context.Context) error { return k.SetSuccessor(ctx, os.Getppid()) }))
		}
	case choice < 20:
		c.rude()
	case choice < 25:
		c.look(c.vector())
	case len(c.held) > 0:
		c.letGo(c.r.IntN(len(c.held)))
	}
}

func (c *client) connectAll() {
	v, w := c.vector(), c.vector()
	if v == w {
		w = v ^ 1
	}
	c.connect([]int{v, w})
}

func (c *client) maskOne() {
	if len(c.held) == 0 {
		return
	}
	h := c.held[c.r.IntN(len(c.held))]
	v := h.c.Vectors()[c.r.IntN(len(h.c.Vectors()))]
	c.expect(c.timely(func(ctx context.Context) error { return h.c.Mask(ctx, v) }))
	c.expect(c.timely(func(ctx context.Context) error { return h.c.Unmask(ctx, v) }))
}

// connect claims vectors. Of a refusal each is told whether it was in the way: rule 1 wants all that were.
func (c *client) connect(vectors []int, options ...ivt.Option) {
	grant := c.number<<32 | c.calls
	names, entries := make([]string, len(vectors)), make([]int, len(vectors))
	for i, v := range vectors {
		names[i], entries[i] = name(v), c.journal.begin(connects, c.round, uint64(v), grant)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	k, err := c.ConnectAll(ctx, names, options...)
	now := kernel.Monotonic()
	var refusal *irq.Error
	errors.As(err, &refusal)
	for i := range vectors {
		c.journal.end(entries[i], connected(err, refusal, names[i]), now)
	}
	c.taken(k, err, vectors, grant)
}

// connected is what the answer to a connect says of one vector.
func connected(err error, refusal *irq.Error, name string) outcome {
	switch {
	case err == nil:
		return done
	case refusal == nil || refusal.Err != nil:
		return unclear
	case refusal.Code == irq.ErrAlreadyConnected || refusal.Code == irq.ErrStillConnected:
		if slices.ContainsFunc(refusal.Conflicts, func(x irq.Conflict) bool { return x.Vector.String() == name }) {
			return refused
		}
		return free
	case refusal.Code == irq.ErrTimeout:
		return nothing
	}
	return passing
}

func (c *client) any() {
	grant := c.number<<32 | c.calls
	entries := []int{c.journal.begin(connects, c.round, anyVector, grant), c.journal.begin(connects, c.round, anyVector, grant)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	k, err := c.Connect(ctx, source(c.round), ivt.Any(2))
	now := kernel.Monotonic()
	var vectors []int
	if err == nil {
		for i, v := range k.Vectors() {
			vectors = append(vectors, int(c.round%rounds)*perRound+v.Index)
			c.journal.word(entries[i], wordVector).Store(uint64(vectors[i]))
		}
	}
	o := done
	var refusal *irq.Error
	switch errors.As(err, &refusal); {
	case err == nil:
	case refusal != nil && refusal.Reason == irq.ReasonNotEnoughVectors:
		o = nothing
	case refusal != nil && refusal.Err == nil:
		o = passing
	default:
		o = unclear
	}
	for _, i := range entries {
		c.journal.end(i, o, now)
	}
	c.taken(k, err, vectors, grant)
}

func (c *client) share() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	k, err := c.Connect(ctx, fmt.Sprintf("soft:shared/%d", c.r.IntN(4)), ivt.Shared())
	c.taken(k, err, nil, 0)
}

// taken keeps what was granted.
func (c *client) taken(k *ivt.Connection, err error, vectors []int, grant uint64) {
	if err != nil {
		c.expect(err)
		return
	}
	h := holding{c: k, vectors: vectors, grant: grant}
	for _, v := range vectors {
		h.claims = append(h.claims, c.w.Own(v, k))
	}
	c.held = append(c.held, h)
}

func (c *client) letGoAll() {
	for len(c.held) > 0 {
		c.letGo(0)
	}
}

// letGo ends a connection.
func (c *client) letGo(n int) {
	h := c.held[n]
	c.held = slices.Delete(c.held, n, n+1)
	var entries []int
	for i, v := range h.vectors {
		c.w.Disown(v, h.claims[i], h.c)
	}
	for _, v := range h.vectors {
		entries = append(entries, c.journal.begin(disconnects, c.round, uint64(v), h.grant))
	}
	err := c.timely(h.c.Disconnect)
	now, o := kernel.Monotonic(), done
	switch {
	case errors.Is(err, irq.ErrNotConnected):
		o = lost
		if c.w.Word(atLost).Add(1) < 20 && c.w.Word(atAnew).Load() == 0 {
			fmt.Fprintf(os.Stderr, "client %d (pid %d, few descriptors: %t) at %d: lost: %v\n", c.number, os.Getpid(), c.poor, now, err)
		}
	case err != nil:
		o = unclear
	}
	for _, i := range entries {
		c.journal.end(i, o, now)
	}
	c.expect(err)
}

// look asks who has a vector.
func (c *client) look(v int) {
	i := c.journal.begin(looks, c.round, uint64(v), 0)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	info, err := c.Lookup(ctx, name(v))
	o := nothing
	switch {
	case err != nil:
	case info.State == irq.StateFree:
		o = free
	case len(info.Holders) == 1:
		o = held
		c.journal.word(i, wordHolder).Store(uint64(info.Holders[0].PID))
	case len(info.Holders) > 1:
		o = held // by nobody that there is
		c.journal.word(i, wordHolder).Store(1 << 40)
	}
	c.journal.end(i, o, kernel.Monotonic())
	c.expect(err)
}

// rude leaves sessions behind that are no use to anybody: half closed, half said, garbage, never read.
func (c *client) rude() {
	conn, err := net.Dial("unix", c.Socket())
	if err != nil {
		return
	}
	half := `{"method":"io.ivtd.interrupts.Connect","parameters":{"vectors":["soft:shared/3"`
	switch c.r.IntN(5) {
	case 0:
		conn.Write([]byte(half))
		conn.(*net.UnixConn).CloseWrite()
	case 1:
		conn.Write([]byte(half))
	case 2:
		conn.Write([]byte("\xff\x00{}\x00[[[[[[[[\x00\"\x1b[2J\""))
	case 3:
		conn.(*net.UnixConn).CloseRead()
		conn.Write([]byte(half + "]}}\x00"))
	case 4:
		conn.SetWriteDeadline(time.Now().Add(time.Millisecond))
		conn.Write([]byte(strings.Repeat(`{"method":"io.ivtd.interrupts.List","parameters":{}}`+"\x00", 100)))
	}
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
	if c.poor || errors.Is(err, syscall.EMFILE) {
		c.w.Word(atPoor).Add(1)
		return
	}
	if c.w.Word(atFailed).Add(1) < 20 {
		fmt.Fprintln(os.Stderr, "client:", err)
	}
}

// sentinel holds one vector as long as there is an ivtd, and notes what was rung when it was woken.
func (c *client) sentinel(n int) {
	for {
		k, err := c.Connect(context.Background(), watched(n), ivt.WaitFor(patience))
		if err != nil {
			time.Sleep(time.Millisecond) // ivtd is away
			continue
		}
		for {
			c.w.Word(atSeen + n).Store(c.w.Word(atRung + n).Load())
			if _, err := k.Wait(context.Background()); err != nil {
				break
			}
		}
	}
}
