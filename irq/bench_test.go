package irq_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
)

var sizes = []int{64, 1_000_000}

func nothing(irq.Interrupt) irq.Verdict { return irq.Handled }

// benchTable returns a registry with n vectors, and connections on the first few.
func benchTable(b *testing.B, n, connected int) (*irq.Registry, *irq.Source) {
	b.Helper()
	r := irq.New(irq.Config{})
	b.Cleanup(r.Close)
	s, err := r.Attach(irq.SourceSpec{Name: "soft:bench", Groups: []irq.Group{{Count: n, Maskable: true, Shareable: true}}})
	if err != nil {
		b.Fatal(err)
	}
	for i := range connected {
		if _, err := r.Connect(background, irq.Request{Vectors: []irq.Vector{{Source: "soft:bench", Index: i}}, Handler: nothing}); err != nil {
			b.Fatal(err)
		}
	}
	return r, s
}

// The peers of a raise: what it costs to find a handler and call it without any accounting, and in the
// two maps that one would write.
type (
	barePeer struct{ h atomic.Pointer[irq.Handler] }
	lockPeer struct {
		mu sync.RWMutex
		m  map[int]irq.Handler
	}
	syncPeer struct{ m sync.Map }
)

func (p *barePeer) raise() { (*p.h.Load())(irq.Interrupt{Count: 1}) }
func (p *lockPeer) raise(i int) {
	p.mu.RLock()
	h := p.m[i]
	p.mu.RUnlock()
	h(irq.Interrupt{Count: 1})
}
func (p *syncPeer) raise(i int) {
	if h, ok := p.m.Load(i); ok {
		h.(irq.Handler)(irq.Interrupt{Count: 1})
	}
}

func newPeers() (bare *barePeer, lock *lockPeer, smap *syncPeer) {
	bare, lock, smap = &barePeer{}, &lockPeer{m: map[int]irq.Handler{}}, &syncPeer{}
	h := irq.Handler(nothing)
	bare.h.Store(&h)
	for i := range 64 {
		lock.m[i] = h
		smap.m.Store(i, h)
	}
	return bare, lock, smap
}

func BenchmarkRaise(b *testing.B) {
	bare, lock, smap := newPeers()
	run := func(name string, one func(i int)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				one(3)
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			var id atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				i := int(id.Add(1)) * 7 % 64 // a vector of its own
				for pb.Next() {
					one(i)
				}
			})
		})
	}
	run("bare", func(int) { bare.raise() })
	run("rwmutex", lock.raise)
	run("syncmap", smap.raise)
	for _, n := range sizes {
		_, s := benchTable(b, n, 64)
		lines := make([]*irq.Line, 64)
		for i := range lines {
			lines[i] = s.Line("", i)
		}
		run(fmt.Sprint("ours/", n), func(i int) { lines[i].Raise() })
	}
}

// BenchmarkRaiseRatio takes turns with its peers and reports the ratio of the medians.
func BenchmarkRaiseRatio(b *testing.B) {
	bare, lock, smap := newPeers()
	_, small := benchTable(b, 64, 64)
	_, large := benchTable(b, 1_000_000, 64)
	one, other := small.Line("", 3), large.Line("", 3)
	type contender struct {
		name string
		run  func(n int)
		took []float64
	}
	all := []*contender{
		{name: "bare", run: func(n int) {
			for range n {
				bare.raise()
			}
		}},
		{name: "ours@64", run: func(n int) {
			for range n {
				one.Raise()
			}
		}},
		{name: "ours@1M", run: func(n int) {
			for range n {
				other.Raise()
			}
		}},
		{name: "rwmutex", run: func(n int) {
			for range n {
				lock.raise(3)
			}
		}},
		{name: "syncmap", run: func(n int) {
			for range n {
				smap.raise(3)
			}
		}},
	}
	const n = 50_000
	for range b.N {
		for range 100 {
			for _, c := range all {
				start := time.Now()
				c.run(n)
				c.took = append(c.took, float64(time.Since(start).Nanoseconds())/n)
			}
		}
	}
	median := func(c *contender) float64 { slices.Sort(c.took); return c.took[len(c.took)/2] }
	for _, c := range all {
		b.ReportMetric(median(c), "ns/"+c.name)
	}
	b.ReportMetric(median(all[1])/median(all[0]), "x-bare@64")
	b.ReportMetric(median(all[2])/median(all[0]), "x-bare@1M")
}

func BenchmarkRaiseShared(b *testing.B) {
	r, s := benchTable(b, 64, 0)
	for range 2 {
		if _, err := r.Connect(background, irq.Request{Vectors: []irq.Vector{{Source: "soft:bench"}}, Shared: true, Handler: nothing}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for range b.N {
		s.Line("", 0).Raise()
	}
	r.Settle()
}

func BenchmarkConnectDisconnect(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, _ := benchTable(b, n, 32)
			q := irq.Request{Vectors: []irq.Vector{{Source: "soft:bench", Index: n - 1}}, Handler: nothing}
			b.ReportAllocs()
			for b.Loop() {
				c, err := r.Connect(background, q)
				if err != nil {
					b.Fatal(err)
				}
				if err := c.Disconnect(background); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkConnectAny(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, _ := benchTable(b, n, 32)
			q := irq.Request{Any: &irq.Any{Source: "soft:bench", Count: 4}, Handler: nothing}
			for b.Loop() {
				c, err := r.Connect(background, q)
				if err != nil {
					b.Fatal(err)
				}
				_ = c.Disconnect(background)
			}
		})
	}
}

func BenchmarkRefusal(b *testing.B) {
	r, _ := benchTable(b, 64, 1)
	q := irq.Request{Vectors: []irq.Vector{{Source: "soft:bench"}}, Handler: nothing}
	for b.Loop() {
		if _, err := r.Connect(background, q); err == nil {
			b.Fatal("granted")
		}
	}
}

// BenchmarkHandOver is a release with ten thousand waiting on the vector.
func BenchmarkHandOver(b *testing.B) {
	for _, waiters := range []int{1, 10_000} {
		b.Run(fmt.Sprint(waiters), func(b *testing.B) {
			r, _ := benchTable(b, 64, 0)
			q := irq.Request{Vectors: []irq.Vector{{Source: "soft:bench"}}, Handler: nothing}
			c, err := r.Connect(background, q)
			if err != nil {
				b.Fatal(err)
			}
			got := make(chan *irq.Connection)
			wait := func() {
				c, _ := r.Connect(background, irq.Request{Vectors: q.Vectors, Handler: nothing, Wait: true})
				if c != nil {
					got <- c
				}
			}
			for range waiters {
				go wait()
			}
			for r.Stats().Waiting < waiters {
				runtime.Gosched()
			}
			for b.Loop() {
				go wait()
				if err := c.Disconnect(background); err != nil {
					b.Fatal(err)
				}
				c = <-got
			}
		})
	}
}

// BenchmarkMemory reports what vectors and connections weigh.
func BenchmarkMemory(b *testing.B) {
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	const vectors, connections = 1_000_000, 10_000
	var perVector, perConnection, attach float64
	for range b.N {
		r := irq.New(irq.Config{EventRing: 2})
		before := heap()
		start := time.Now()
		if _, err := r.Attach(irq.SourceSpec{Name: "soft:bench", Groups: []irq.Group{{Count: vectors}}}); err != nil {
			b.Fatal(err)
		}
		attach = float64(time.Since(start).Microseconds()) / 1000
		attached := heap()
		for i := range connections {
			if _, err := r.Connect(background, irq.Request{Vectors: []irq.Vector{{Source: "soft:bench", Index: i}}, Handler: nothing}); err != nil {
				b.Fatal(err)
			}
		}
		perVector, perConnection = (attached-before)/vectors, (heap()-attached)/connections
		r.Close()
	}
	b.ReportMetric(perVector, "B/vector")
	b.ReportMetric(perConnection, "B/connection")
	b.ReportMetric(attach, "ms/attach-1M")
}
