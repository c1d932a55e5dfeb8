package irq_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

// A queueing is waiters that report who got in, in order.
type queueing struct {
	tb  *table
	got chan int
	all sync.WaitGroup
	mu  sync.Mutex
	cs  map[int]*irq.Connection
	err map[int]error

	seen map[int]bool // of expect
}

func newQueueing(tb *table) *queueing {
	return &queueing{tb: tb, got: make(chan int, 10_000), cs: map[int]*irq.Connection{}, err: map[int]error{}, seen: map[int]bool{}}
}

// A deadline is a context whose deadline passes when the test says so.
type deadline struct {
	context.Context
	passed chan struct{}
}

func newDeadline() *deadline { return &deadline{background, make(chan struct{})} }

func (d *deadline) pass()                 { close(d.passed) }
func (d *deadline) Done() <-chan struct{} { return d.passed }
func (d *deadline) Err() error {
	select {
	case <-d.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// join lets pid wait for vectors, and returns when it does.
func (q *queueing) join(ctx context.Context, pid int, with func(*irq.Request), vs ...irq.Vector) (turn uint64) {
	queued := make(chan uint64, 1)
	r := irq.Request{Vectors: vs, Wait: true, Holder: process(pid), Handler: (&driver{}).handle, OnWait: func(turn uint64) { queued <- turn }}
	if with != nil {
		with(&r)
	}
	q.all.Go(func() {
		defer close(queued) // who does not queue is not waited for
		c, err := q.tb.Connect(ctx, r)
		q.mu.Lock()
		q.cs[pid], q.err[pid] = c, err
		q.mu.Unlock()
		q.got <- pid
	})
	return <-queued
}

// next returns who came out of the queue, and ends its connection if it got one.
func (q *queueing) next() int {
	pid := <-q.got
	if c := q.conn(pid); c != nil {
		q.tb.disconnect(c)
	}
	return pid
}

func (q *queueing) conn(pid int) *irq.Connection {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.cs[pid]
}

func (q *queueing) refusal(pid int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err[pid]
}

func TestRule10FirstComeFirstServed(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	holder := tb.connect(nil, tb.v(0))
	q := newQueueing(tb)
	for pid := 1; pid <= 50; pid++ {
		q.join(background, pid, nil, tb.v(0))
	}
	if n := tb.info(tb.v(0)).Waiting; n != 50 {
		t.Errorf("%d wait", n)
	}
	tb.disconnect(holder)
	for pid := 1; pid <= 50; pid++ {
		if got := q.next(); got != pid {
			t.Fatalf("%d came before %d", got, pid)
		}
	}
	if i := tb.info(tb.v(0)); i.Waiting != 0 || i.State != irq.StateFree || tb.Stats().Waiting != 0 {
		t.Errorf("%+v", i)
	}
}

func TestRule10ANewcomerDoesNotPass(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	holder := tb.connect(nil, tb.v(0))
	q := newQueueing(tb)
	q.join(background, 1, nil, tb.v(0))
	tb.disconnect(holder)
	_, err := tb.try(as(2, nil), tb.v(0)) // at once: the vector has been handed over already
	if e := refused(t, err, irq.ErrAlreadyConnected, irq.ReasonHeld); e.Conflicts[0].Holders[0].PID != 1 {
		t.Error(e)
	}
	q.next()
}

func TestRule10TheSuccessorGoesFirst(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	holder := tb.connect(nil, tb.v(0))
	q := newQueueing(tb)
	for _, pid := range []int{1, 2, 3} {
		q.join(background, pid, nil, tb.v(0))
	}
	if err := holder.SetSuccessor(1, 3); err != nil {
		t.Fatal(err)
	}
	tb.disconnect(holder)
	var order []int
	for range 3 {
		order = append(order, q.next())
	}
	if diff := cmp.Diff([]int{3, 1, 2}, order); diff != "" {
		t.Error(diff)
	}
}

func TestRule10ResumeComesBeforeWhoeverWaits(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	c := tb.connect(grace(time.Minute), tb.v(0))
	q := newQueueing(tb)
	q.join(background, 1, nil, tb.v(0))
	c.HolderDied()
	if err := c.Resume(background, process(9)); err != nil {
		t.Fatal(err)
	}
	c.HolderDied()
	if len(q.got) != 0 {
		t.Error("a waiter got an orphan's vector")
	}
	tb.advance(time.Minute)
	if q.next() != 1 {
		t.Error("after the grace nobody is let in")
	}
}

func TestRule10WaitersForSeveralReserveNoneAndGetAllAtOnce(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	a, b := tb.connect(nil, tb.v(0)), tb.connect(nil, tb.v(1))
	q := newQueueing(tb)
	q.join(background, 1, nil, tb.v(0), tb.v(1), tb.v(2))
	q.join(background, 2, nil, tb.v(0))
	q.join(background, 3, nil, tb.v(1), tb.v(0))
	tb.disconnect(tb.connect(nil, tb.v(2))) // not reserved
	tb.disconnect(a)
	if got := <-q.got; got != 2 { // vector 1 is still held: the others let him pass
		t.Fatal(got)
	}
	tb.disconnect(b)
	if len(q.got) != 0 {
		t.Error("granted in part")
	}
	tb.disconnect(q.conn(2))
	if got := <-q.got; got != 1 {
		t.Fatal(got)
	}
	if vs := q.conn(1).Vectors(); len(vs) != 3 {
		t.Error(vs)
	}
	tb.disconnect(q.conn(1))
	if got := q.next(); got != 3 {
		t.Fatal(got)
	}
}

func TestRule10ASharerDoesNotPassWhoWaitsToHaveItAlone(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	holder := tb.connect(sharing, tb.v(0))
	q := newQueueing(tb)
	alone, cancel := context.WithCancel(background)
	q.join(alone, 1, nil, tb.v(0))
	refused(t, second(tb.try(sharing, tb.v(0))), irq.ErrAlreadyConnected, irq.ReasonHeld)
	q.join(background, 2, sharing, tb.v(0))
	q.join(background, 3, sharing, tb.v(0))
	if len(q.got) != 0 {
		t.Error("a sharer passed")
	}
	cancel() // who was in the way gives up
	// The three come back on goroutines of their own, in any order.
	came := map[int]bool{<-q.got: true, <-q.got: true, <-q.got: true}
	if !came[1] || !came[2] || !came[3] || len(tb.info(tb.v(0)).Holders) != 3 {
		t.Error(came, tb.info(tb.v(0)).Holders)
	}
	tb.disconnect(holder)
}

func TestRule10DeadlineAndCancellationNameWhoIsInTheWay(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	tb.connect(as(99, nil), tb.v(0), tb.v(1))
	q := newQueueing(tb)
	timeout := newDeadline()
	q.join(timeout, 1, nil, tb.v(0), tb.v(1), tb.v(2))
	timeout.pass() // when it waits and not before, however slow this machine is
	<-q.got
	e := refused(t, q.refusal(1), irq.ErrTimeout, irq.ReasonTimeout)
	if !errors.Is(e, context.DeadlineExceeded) {
		t.Error(e)
	}
	if diff := cmp.Diff(map[irq.Vector][]int{tb.v(0): {99}, tb.v(1): {99}}, pids(e.Conflicts)); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithCancel(background)
	q.join(ctx, 2, nil, tb.v(0))
	cancel()
	<-q.got
	e = refused(t, q.refusal(2), irq.ErrCancelled, irq.ReasonCancelled)
	if len(e.Conflicts) != 1 || tb.Stats().Waiting != 0 || tb.info(tb.v(0)).Waiting != 0 {
		t.Error(e)
	}
}

func TestRule10ARestoredWaiterKeepsItsTurn(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	holder := tb.connect(nil, tb.v(0))
	q := newQueueing(tb)
	turn := func(n uint64) func(*irq.Request) { return func(r *irq.Request) { r.Turn = n } }
	q.join(background, 1, turn(30), tb.v(0))
	q.join(background, 2, turn(10), tb.v(0))
	q.join(background, 3, turn(20), tb.v(0))
	if got := q.join(background, 4, nil, tb.v(0)); got != 31 {
		t.Errorf("the next turn is %d", got)
	}
	tb.disconnect(holder)
	var order []int
	for range 4 {
		order = append(order, q.next())
	}
	if diff := cmp.Diff([]int{2, 3, 1, 4}, order); diff != "" {
		t.Error(diff)
	}
}

func TestRule10WaitingForAnyForABudgetForAModeAndForADevice(t *testing.T) {
	any := func(n int) func(*irq.Request) {
		return func(r *irq.Request) { r.Vectors, r.Any = nil, &irq.Any{Source: "soft:demo", Count: n} }
	}
	kinds := []irq.Group{{Type: "msi", Count: 4}, {Type: "msix", Count: 4}}
	for name, c := range map[string]struct {
		spec irq.SourceSpec
		held []irq.Vector
		with func(*irq.Request)
		want []irq.Vector
	}{
		"any":    {irq.SourceSpec{Groups: []irq.Group{{Type: "msi", Count: 2}}}, []irq.Vector{{Source: "soft:demo", Type: "msi"}}, any(2), nil},
		"budget": {irq.SourceSpec{Groups: kinds, Budget: 1}, []irq.Vector{{Source: "soft:demo", Type: "msi"}}, nil, []irq.Vector{{Source: "soft:demo", Type: "msi", Index: 1}}},
		"mode":   {irq.SourceSpec{Groups: kinds, OneType: true}, []irq.Vector{{Source: "soft:demo", Type: "msi"}}, nil, []irq.Vector{{Source: "soft:demo", Type: "msix"}}},
		"device": {irq.SourceSpec{Groups: kinds}, []irq.Vector{{Source: "soft:demo", Type: "msi"}}, func(r *irq.Request) { r.Access = irq.AccessDevice }, []irq.Vector{{Source: "soft:demo", Type: "msix"}}},
	} {
		t.Run(name, func(t *testing.T) {
			tb := newTable(t, c.spec)
			holder := tb.connect(nil, c.held...)
			q := newQueueing(tb)
			q.join(background, 1, c.with, c.want...)
			tb.disconnect(holder)
			if <-q.got; q.refusal(1) != nil {
				t.Error(q.refusal(1))
			}
		})
	}
}

func TestRule10TenThousandWaitersOnOneVector(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	holder := tb.connect(nil, tb.v(0))
	q := newQueueing(tb)
	n := 10_000
	if raceEnabled {
		n = 2_000
	}
	half, cancel := context.WithCancel(background)
	for pid := 1; pid <= n; pid++ {
		ctx := background
		if pid%2 == 0 {
			ctx = half
		}
		q.join(ctx, pid, nil, tb.v(0))
	}
	cancel()
	for range n / 2 {
		<-q.got
	}
	tb.disconnect(holder)
	for pid := 1; pid <= n; pid += 2 {
		if got := q.next(); got != pid {
			t.Fatalf("%d came before %d", got, pid)
		}
	}
}

func TestRule10AWaiterForAVectorThatTheKernelHoldsGetsItWhenItIsFree(t *testing.T) {
	tb := newTable(t, irq.SourceSpec{})
	tb.demo.SetUnavailable(tb.v(0), &irq.Error{Code: irq.ErrAlreadyConnected, Reason: irq.ReasonKernelHolds})
	q := newQueueing(tb)
	q.join(background, 1, nil, tb.v(0))
	tb.demo.SetUnavailable(tb.v(0), nil)
	if q.next(); q.refusal(1) != nil {
		t.Error(q.refusal(1))
	}
}
