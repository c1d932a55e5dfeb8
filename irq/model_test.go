package irq_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/ivtd/ivt/irq"
)

// The rules of who may have what, in a few lines, against which concurrent histories are checked. A
// vector has those who are connected, each a bit, and those who are being disconnected.
const modelVectors = 3

type (
	modelVector struct {
		shared         bool
		live, draining uint64
	}
	modelState [modelVectors]modelVector

	modelIn struct {
		op      string // connect, stop, release
		vectors uint8  // set of them
		shared  bool
		who     int // whose connection is stopped or released
	}
	modelOut struct {
		code      irq.Code // 0: done
		conflicts uint8
		who       int // whose connection was made
	}
)

// blocks is the code with which a vector refuses a claim.
func (v modelVector) blocks(shared bool) irq.Code {
	switch {
	case v.live == 0 && v.draining == 0, v.live != 0 && v.shared && shared:
		return 0
	case v.live == 0:
		return irq.ErrStillConnected
	}
	return irq.ErrAlreadyConnected
}

func (s modelState) step(in modelIn, out modelOut) (bool, modelState) {
	bit := uint64(1) << in.who
	switch in.op {
	case "connect":
		var code irq.Code
		var conflicts uint8
		for i := range s {
			if in.vectors&(1<<i) == 0 {
				continue
			}
			if c := s[i].blocks(in.shared); c != 0 {
				conflicts |= 1 << i
				if code != irq.ErrAlreadyConnected {
					code = c
				}
			}
		}
		if code != out.code || conflicts != out.conflicts {
			return false, s
		}
		for i := range s {
			if in.vectors&(1<<i) != 0 && code == 0 {
				s[i].live |= 1 << out.who
				s[i].shared = in.shared
			}
		}
		return true, s
	case "stop": // of two, one is refused
		connected := false
		for i := range s {
			if s[i].live&bit != 0 {
				connected = true
				s[i].live, s[i].draining = s[i].live&^bit, s[i].draining|bit
			}
		}
		return connected == (out.code == 0), s
	}
	for i := range s {
		s[i].draining &^= bit
	}
	return true, s
}

var model = porcupine.Model{
	Init: func() any { return modelState{} },
	Step: func(state, in, out any) (bool, any) {
		ok, next := state.(modelState).step(in.(modelIn), out.(modelOut))
		return ok, next
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

// A recorder makes calls and keeps what came out, with a clock that only orders.
type recorder struct {
	tb    *table
	clock atomic.Int64
	mu    sync.Mutex
	ops   []porcupine.Operation
	conns []*irq.Connection
}

func (r *recorder) add(client int, call int64, in modelIn, out modelOut) {
	now := r.clock.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: now})
}

func (r *recorder) connect(client int, set uint8, shared bool) {
	var vs []irq.Vector
	for i := range modelVectors {
		if set&(1<<i) != 0 {
			vs = append(vs, r.tb.v(i))
		}
	}
	call := r.clock.Add(1)
	c, err := r.tb.try(func(q *irq.Request) {
		q.Shared = shared
		q.Handler = func(irq.Interrupt) irq.Verdict { runtime.Gosched(); return irq.Handled } // long enough to be seen draining
	}, vs...)
	now := r.clock.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	out := modelOut{who: len(r.conns)}
	if err == nil {
		r.conns = append(r.conns, c)
	} else {
		var e *irq.Error
		errors.As(err, &e)
		out = modelOut{code: e.Code}
		for _, c := range e.Conflicts {
			out.conflicts |= 1 << c.Vector.Index
		}
	}
	r.ops = append(r.ops, porcupine.Operation{ClientId: client, Input: modelIn{op: "connect", vectors: set, shared: shared}, Call: call, Output: out, Return: now})
}

// disconnect is two operations of the model: the vectors stop, and are free some time before it returns.
func (r *recorder) disconnect(client int, pick int) {
	r.mu.Lock()
	if len(r.conns) == 0 {
		r.mu.Unlock()
		return
	}
	who := pick % len(r.conns)
	c := r.conns[who]
	r.mu.Unlock()
	call := r.clock.Add(1)
	if err := c.Disconnect(background); err != nil {
		r.add(client, call, modelIn{op: "stop", who: who}, modelOut{code: irq.ErrNotConnected})
		return
	}
	r.add(client, call, modelIn{op: "stop", who: who}, modelOut{})
	r.add(client+100, call, modelIn{op: "release", who: who}, modelOut{})
}

func TestConcurrentHistoriesObeyTheModel(t *testing.T) {
	rounds := 150
	if raceEnabled {
		rounds = 40
	}
	for round := range rounds {
		seed := rand.Uint64()
		tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{edge(modelVectors)}})
		r := &recorder{tb: tb}
		var clients, raisers sync.WaitGroup
		stop := make(chan struct{})
		raisers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					tb.line(i % modelVectors).Raise()
				}
			}
		})
		for client := range 3 {
			clients.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, uint64(client)))
				for range 14 {
					if rnd.IntN(2) == 0 {
						r.connect(client, uint8(1+rnd.IntN(1<<modelVectors-1)), rnd.IntN(2) == 0)
					} else {
						r.disconnect(client, rnd.IntN(64))
					}
				}
			})
		}
		clients.Wait()
		close(stop)
		raisers.Wait()
		if result, info := porcupine.CheckOperationsVerbose(model, r.ops, 20*time.Second); result == porcupine.Illegal {
			path := t.TempDir() + "/history.html"
			_ = porcupine.VisualizePath(model, info, path)
			t.Fatalf("round %d, seed %d: no order of these calls obeys the rules: %v", round, seed, r.ops)
		}
		tb.Close()
	}
}

// The model must be able to say no.
func TestTheModelRefusesTwoHolders(t *testing.T) {
	op := func(call, back int64, in modelIn, out modelOut) porcupine.Operation {
		return porcupine.Operation{Input: in, Call: call, Output: out, Return: back}
	}
	a, b := modelIn{op: "connect", vectors: 3}, modelIn{op: "connect", vectors: 2}
	if porcupine.CheckOperations(model, []porcupine.Operation{op(1, 2, a, modelOut{}), op(3, 4, b, modelOut{who: 1})}) {
		t.Error("two exclusive holders of one vector pass")
	}
	if !porcupine.CheckOperations(model, []porcupine.Operation{op(1, 2, a, modelOut{}), op(3, 4, b, modelOut{code: 763, conflicts: 2})}) {
		t.Error("a refusal does not pass")
	}
}

// An independent witness, beside the registry and the model: whoever is connected writes himself into
// the vector's slot by compare-and-swap, and wipes himself out before he lets go. A failure is a double
// holder, and so is a handler that finds somebody else there.
func TestAWitnessSeesNoVectorWithTwoHolders(t *testing.T) {
	const vectors, clients, each = 8, 6, 150
	tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{{Count: vectors, Maskable: true}}})
	var owner [vectors]atomic.Int64
	var all, raiser sync.WaitGroup
	stop := make(chan struct{})
	raiser.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				tb.line(i % vectors).Raise()
			}
		}
	})
	for client := range clients {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(client)))
			for n := range each {
				me := int64(client*each + n + 1)
				vs := make([]irq.Vector, 1+rnd.IntN(3))
				for i, index := range rnd.Perm(vectors)[:len(vs)] {
					vs[i] = tb.v(index)
				}
				c, err := tb.Connect(background, irq.Request{Vectors: vs, Wait: true, Handler: func(i irq.Interrupt) irq.Verdict {
					if got := owner[vs[i.Slot].Index].Load(); got != me && got != 0 {
						t.Errorf("%d is delivered %v, which %d has", me, vs[i.Slot], got)
					}
					return irq.Handled
				}})
				if err != nil {
					t.Error(err)
					return
				}
				for _, v := range vs {
					if !owner[v.Index].CompareAndSwap(0, me) {
						t.Errorf("%d is given %v, which %d has", me, v, owner[v.Index].Load())
					}
				}
				runtime.Gosched()
				for _, v := range vs {
					if !owner[v.Index].CompareAndSwap(me, 0) {
						t.Errorf("%d had %v, which %d has", me, v, owner[v.Index].Load())
					}
				}
				[]func(){
					func() { _ = c.Disconnect(background) }, c.HolderDied, func() { _ = c.Revoke(background, 0, "") },
				}[rnd.IntN(3)]()
			}
		})
	}
	all.Wait()
	close(stop)
	raiser.Wait()
}
