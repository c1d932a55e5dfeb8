//go:build linux

package source

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
)

// limit is how long a test waits for what must come.
const limit = 20 * time.Second

// A bench is a source that is attached to a registry of its own.
type bench struct {
	t        testing.TB
	registry *irq.Registry
	source   Source
	attached *irq.Source

	meanwhile func() // happens in a restart, after the source is open and before its claims are taken over
}

// openSource opens and attaches a source, and lets all go when the test ends.
func openSource(t testing.TB, c Config) *bench {
	t.Helper()
	b := &bench{t: t, registry: irq.New(irq.Config{})}
	b.attach(c)
	t.Cleanup(b.close)
	return b
}

func (b *bench) attach(c Config) {
	b.t.Helper()
	c.Ack = Acknowledge(b.registry)
	var err error
	if b.source, err = Lookup(irq.Vector{Source: c.Name}.Scheme()).Open(context.Background(), c); err != nil {
		b.t.Fatal(err)
	}
	if b.attached, err = b.registry.Attach(b.source.Spec()); err != nil {
		b.t.Fatal(errors.Join(err, b.source.Close()))
	}
	b.source.Attached(b.attached)
}

func (b *bench) close() {
	if b.registry == nil {
		return
	}
	b.registry.Close()
	if err := b.source.Close(); err != nil {
		b.t.Errorf("close %s: %v", b.source.Spec().Name, err)
	}
	b.registry = nil
}

// A grip is a connection to one vector, with the copies that its holder got.
type grip struct {
	Descriptors
	t    testing.TB
	conn *irq.Connection
}

// connect connects to one vector, with what change makes of the request.
func (b *bench) connect(v irq.Vector, change ...func(*irq.Request)) *grip {
	b.t.Helper()
	q := irq.Request{Vectors: []irq.Vector{v}}
	for _, f := range change {
		f(&q)
	}
	conn, err := b.registry.Connect(context.Background(), q)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.grip(conn)
}

func (b *bench) grip(conn *irq.Connection) *grip {
	b.t.Helper()
	d, err := b.source.Descriptors(irq.Claim{Vector: conn.Vectors()[0], Connection: conn.ID(), Generation: conn.Generation()})
	if err != nil {
		b.t.Fatal(err)
	}
	g := &grip{d, b.t, conn}
	b.t.Cleanup(func() { g.Descriptors.Close() })
	return g
}

func share(q *irq.Request)  { q.Shared = true }
func device(q *irq.Request) { q.Access = irq.AccessDevice }

// wait reports whether a descriptor becomes readable, or hangs up.
func wait(fd int, for_ time.Duration) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for end := time.Now().Add(for_); ; {
		n, err := unix.Poll(p, int(max(0, time.Until(end).Milliseconds())))
		if err != unix.EINTR {
			return n == 1
		}
	}
}

// next reads the next record.
func (g *grip) next() record.Record {
	g.t.Helper()
	if !wait(g.FD, limit) {
		g.t.Fatal("no record came")
	}
	b := make([]byte, 64)
	n, err := unix.Read(g.FD, b)
	if err != nil {
		g.t.Fatal(err)
	}
	r, err := record.Decode(b[:n])
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// none fails if there is anything to read. Whatever could have made it so has happened before.
func (g *grip) none() {
	g.t.Helper()
	b := make([]byte, 64)
	if n, _, err := unix.Recvfrom(g.FD, b, unix.MSG_DONTWAIT); err != syscall.EAGAIN {
		g.t.Errorf("read %x, %v where there should be nothing", b[:max(n, 0)], err)
	}
}

// ended fails unless the stream is over and has nothing left to read.
func (g *grip) ended() {
	g.t.Helper()
	b := make([]byte, 64)
	if !wait(g.FD, limit) {
		g.t.Fatal("the stream did not end")
	}
	if n, _, err := unix.Recvfrom(g.FD, b, unix.MSG_DONTWAIT); n != 0 || err != nil {
		g.t.Errorf("after the end: read %x, %v", b[:max(n, 0)], err)
	}
}

func (g *grip) ack(r record.Record, verdict uint32) {
	g.t.Helper()
	if err := kernel.Send(g.FD, record.Ack{Generation: r.Generation, Sequence: r.Sequence, Verdict: verdict}.Append(nil)); err != nil {
		g.t.Fatal(err)
	}
}

// count reads an eventfd, or fails if it stays 0.
func (g *grip) count() uint64 {
	g.t.Helper()
	if !wait(g.FD, limit) {
		g.t.Fatal("no interrupt came")
	}
	n, err := kernel.ReadEventfd(g.FD)
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}

func (g *grip) disconnect() {
	g.t.Helper()
	if err := g.conn.Disconnect(context.Background()); err != nil {
		g.t.Fatal(err)
	}
}

// eventually polls a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// descriptors lists what this process has open, by number.
func descriptors(t testing.TB) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]string{}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			open[e.Name()] = target
		}
	}
	return open
}

// leakFree fails if the test leaves more descriptors open than there were: call it first.
func leakFree(t testing.TB) {
	t.Helper()
	before := descriptors(t)
	t.Cleanup(func() {
		for fd, target := range descriptors(t) {
			if before[fd] != target {
				t.Errorf("descriptor %s (%s) is left open", fd, target)
			}
		}
	})
}

// pipe returns the two ends of a pipe, the reading one non-blocking.
func pipe(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(p[:]) })
	return p[0], p[1]
}
