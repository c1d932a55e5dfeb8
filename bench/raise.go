package main

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ivtd/ivt/irq"
)

var raiseRows = []row{
	{"raise -> handler, against an atomic load and a call", atMost(4), func(b *bench) (ours, peer sample, err error) {
		return raising(64, 1), calling(bare, 1), nil
	}},
	{"raise -> handler, 1,000,000 vectors against 64", atMost(1.1), func(b *bench) (ours, peer sample, err error) {
		return raising(1_000_000, 1), raising(64, 1), nil
	}},
	{"raise -> handler, against a sync.RWMutex and a map, 1 core", goal{}, func(b *bench) (ours, peer sample, err error) {
		return raising(64, 1), calling(mutexMap, 1), nil
	}},
	{"raise -> handler, against a sync.RWMutex and a map, 2 cores", goal{}, func(b *bench) (ours, peer sample, err error) {
		return raising(64, 2), calling(mutexMap, 2), nil
	}},
	{"raise -> handler, against a sync.Map, 1 core", goal{}, func(b *bench) (ours, peer sample, err error) {
		return raising(64, 1), calling(syncMap, 1), nil
	}},
	{"raise -> handler, against a sync.Map, 2 cores", goal{}, func(b *bench) (ours, peer sample, err error) {
		return raising(64, 2), calling(syncMap, 2), nil
	}},
}

const raiseRepeats = 2_000_000

// handled is where handlers count, so that they are not optimised away; one for each core.
var handled [2]struct {
	n uint64
	_ [56]byte
}

// raising samples Line.Raise on as many lines as there are cores, each from its own goroutine.
func raising(vectors, cores int) sample {
	r := irq.New(irq.Config{})
	s, err := r.Attach(irq.SourceSpec{Name: "soft:bench", Groups: []irq.Group{{Count: vectors}}})
	if err != nil {
		return func() (float64, error) { return 0, err }
	}
	lines := make([]*irq.Line, cores)
	for i := range lines {
		index := i * (vectors / 2)
		_, err := r.Connect(context.Background(), irq.Request{
			Vectors: []irq.Vector{{Source: "soft:bench", Index: index}},
			Handler: func(irq.Interrupt) irq.Verdict { handled[i].n++; return irq.Handled },
		})
		if err != nil {
			return func() (float64, error) { return 0, err }
		}
		lines[i] = s.Line("", index)
	}
	return onCores(cores, func(core int) {
		line := lines[core]
		for range raiseRepeats {
			line.Raise()
		}
	})
}

// onCores samples f running on that many cores at the same time: nanoseconds a call of each.
func onCores(cores int, f func(core int)) sample {
	return func() (float64, error) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(cores, 2)))
		var wait sync.WaitGroup
		start := time.Now()
		for core := range cores {
			wait.Go(func() { f(core) })
		}
		wait.Wait()
		return float64(time.Since(start)) / raiseRepeats, nil
	}
}

// calling samples one of the other ways to find a handler and call it.
func calling(loop func(core int), cores int) sample { return onCores(cores, loop) }

type handler func(irq.Interrupt) irq.Verdict

func counting(core int) handler {
	return func(irq.Interrupt) irq.Verdict { handled[core].n++; return irq.Handled }
}

// bare loads a pointer and calls through it.
func bare(core int) {
	var slot atomic.Pointer[handler]
	h := counting(core)
	slot.Store(&h)
	for i := range uint64(raiseRepeats) {
		(*slot.Load())(irq.Interrupt{Sequence: i, Count: 1})
	}
}

var table = struct {
	sync.RWMutex
	handlers map[int]handler
	lockless sync.Map
}{handlers: map[int]handler{}}

func init() {
	for core := range handled {
		table.handlers[core] = counting(core)
		table.lockless.Store(core, counting(core))
	}
}

func mutexMap(core int) {
	for i := range uint64(raiseRepeats) {
		table.RLock()
		h := table.handlers[core]
		table.RUnlock()
		h(irq.Interrupt{Sequence: i, Count: 1})
	}
}

func syncMap(core int) {
	for i := range uint64(raiseRepeats) {
		if h, ok := table.lockless.Load(core); ok {
			h.(handler)(irq.Interrupt{Sequence: i, Count: 1})
		}
	}
}
