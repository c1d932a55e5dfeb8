package irq_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/irq/irqtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var background = context.Background()

// A table is a registry on a test clock with one source, soft:demo.
type table struct {
	*irq.Registry
	t     testing.TB
	clock *irqtest.Clock
	demo  *irq.Source
	spec  irq.SourceSpec
}

func edge(n int) irq.Group { return irq.Group{Count: n, Maskable: true, Shareable: true} }
func level(n int) irq.Group {
	return irq.Group{Count: n, Maskable: true, Shareable: true, Trigger: irq.TriggerLevel}
}

// newTable returns a table whose soft:demo is as spec says; without groups it has 16 edge vectors.
func newTable(t testing.TB, spec irq.SourceSpec) *table {
	t.Helper()
	tb := &table{t: t, clock: irqtest.NewClock(time.Time{})}
	tb.Registry = irq.New(irq.Config{Clock: tb.clock})
	t.Cleanup(tb.Close)
	if spec.Name == "" {
		spec.Name = "soft:demo"
	}
	if spec.Groups == nil {
		spec.Groups = []irq.Group{edge(16)}
	}
	tb.spec = spec
	tb.demo = tb.attach(spec)
	return tb
}

func (tb *table) attach(spec irq.SourceSpec) *irq.Source {
	tb.t.Helper()
	s, err := tb.Attach(spec)
	if err != nil {
		tb.t.Fatal(err)
	}
	return s
}

// v is a vector of soft:demo.
func (tb *table) v(index int) irq.Vector {
	return irq.Vector{Source: tb.spec.Name, Type: tb.spec.Groups[0].Type, Index: index}
}

func (tb *table) line(index int) *irq.Line { return tb.demo.Line(tb.spec.Groups[0].Type, index) }

func (tb *table) info(v irq.Vector) irq.Info {
	tb.t.Helper()
	i, err := tb.Lookup(v)
	if err != nil {
		tb.t.Fatal(err)
	}
	return i
}

// connect claims vectors for a driver that handles everything, changed by with.
func (tb *table) connect(with func(*irq.Request), vs ...irq.Vector) *irq.Connection {
	tb.t.Helper()
	c, err := tb.try(with, vs...)
	if err != nil {
		tb.t.Fatal(err)
	}
	return c
}

func (tb *table) try(with func(*irq.Request), vs ...irq.Vector) (*irq.Connection, error) {
	q := irq.Request{Vectors: vs, Handler: func(irq.Interrupt) irq.Verdict { return irq.Handled }}
	if with != nil {
		with(&q)
	}
	return tb.Connect(background, q)
}

func (tb *table) disconnect(c *irq.Connection) {
	tb.t.Helper()
	if err := c.Disconnect(background); err != nil {
		tb.t.Fatal(err)
	}
}

func (tb *table) check(err error) {
	tb.t.Helper()
	if err != nil {
		tb.t.Fatal(err)
	}
}

// advance moves the clock on and lets all that follows happen.
func (tb *table) advance(d time.Duration) {
	tb.Settle()
	tb.clock.Advance(d)
	tb.Settle()
}

// A driver notes what its handler gets and answers as it is told.
type driver struct {
	mu      sync.Mutex
	got     []irq.Interrupt
	verdict irq.Verdict
}

func (d *driver) handle(i irq.Interrupt) irq.Verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, i)
	return d.verdict
}

// taken returns what came since the last call.
func (d *driver) taken() []irq.Interrupt {
	d.mu.Lock()
	defer d.mu.Unlock()
	got := d.got
	d.got = nil
	return got
}

// as is a request's holder and handler.
func as(pid int, d *driver, more ...func(*irq.Request)) func(*irq.Request) {
	return func(q *irq.Request) {
		q.Holder = process(pid)
		if d != nil {
			q.Handler = d.handle
		}
		for _, f := range more {
			f(q)
		}
	}
}

func process(pid int) irq.Holder {
	return irq.Holder{Kind: irq.HolderProcess, PID: pid, StartTime: uint64(pid) * 10}
}

func sharing(q *irq.Request) { q.Shared = true }
func waiting(q *irq.Request) { q.Wait = true }

func grace(d time.Duration) func(*irq.Request) { return func(q *irq.Request) { q.Grace = d } }

// refused fails the test unless err is a refusal with that code and reason, and returns it.
func refused(t testing.TB, err error, code irq.Code, reason irq.Reason) *irq.Error {
	t.Helper()
	var e *irq.Error
	if !errors.As(err, &e) || !errors.Is(err, code) || e.Reason != reason {
		t.Fatalf("got %v, want %d with reason %q", err, uint32(code), reason)
	}
	return e
}

// pids are those of the holders in the way.
func pids(cs []irq.Conflict) map[irq.Vector][]int {
	m := map[irq.Vector][]int{}
	for _, c := range cs {
		for _, h := range c.Holders {
			m[c.Vector] = append(m[c.Vector], h.PID)
		}
	}
	return m
}

// eventually polls until f holds.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// kinds are those of the events about a vector.
func (tb *table) kinds(v irq.Vector) (ks []irq.EventKind) {
	for e := range tb.History(v) {
		ks = append(ks, e.Kind)
	}
	return ks
}

// A wire records what a Wiring is asked to do, and does it by handlers in process.
type wire struct {
	mu     sync.Mutex
	log    []string
	fail   map[string]error // by entry of the log
	direct bool             // the kernel delivers
	hook   func(entry string)
}

func (w *wire) note(format string, v irq.Vector, pid int) error {
	entry := format + " " + v.String()
	if pid != 0 {
		entry += " for " + process(pid).String()
	}
	w.mu.Lock()
	w.log = append(w.log, entry)
	err, hook := w.fail[entry], w.hook
	w.mu.Unlock()
	if hook != nil {
		hook(entry)
	}
	return err
}

func (w *wire) Wire(_ context.Context, c irq.Claim) (irq.Handler, error) {
	if err := w.note("wire", c.Vector, c.Holder.PID); err != nil || w.direct {
		return nil, err
	}
	return c.Handler, nil
}
func (w *wire) Unwire(c irq.Claim) error { return w.note("unwire", c.Vector, c.Holder.PID) }
func (w *wire) Ring(v irq.Vector) error  { return w.note("ring", v, 0) }
func (w *wire) SetMask(v irq.Vector, m bool) error {
	if m {
		return w.note("mask", v, 0)
	}
	return w.note("unmask", v, 0)
}

// taken returns what was asked since the last call.
func (w *wire) taken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log
	w.log = nil
	return log
}
