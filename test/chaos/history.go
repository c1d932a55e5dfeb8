package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// A gap is the time in which no worker, or no keeper either, served, or in which sessions broke for want of descriptors.
type gap struct {
	from, to int64
	kind     gapKind
}

type gapKind int

const (
	noWorker gapKind = iota
	noKeeper
	scarce
)

func (g gap) meets(from, to int64) bool { return from < g.to && to > g.from }

// A life is what the supervisor knows of a client.
type life struct {
	pid     int
	number  uint64
	poor    bool  // its sessions break for want of its own descriptors
	killed  int64 // 0: it ended by itself, or lives
	reaped  int64
	entries []entry // of one round
}

// A history is one round's calls, by vector, as steps.
type history struct {
	round    uint64
	gaps     []gap
	end      int64 // when every vector of the round was seen free
	parts    [perRound][]porcupine.Operation
	calls    int // that the model judges
	problems []string
}

func (h *history) add(v uint64, s step, call, end int64) {
	o := porcupine.Operation{Input: s, Call: call, Return: end}
	if v == anyVector {
		for i := range h.parts {
			h.parts[i] = append(h.parts[i], o)
		}
		return
	}
	h.parts[v%perRound] = append(h.parts[v%perRound], o)
}

// read adds what one client did in the round.
func (h *history) read(l life) {
	grants := map[[2]uint64]entry{} // by grant and vector; those that were not given back
	judged := map[int64]bool{}      // calls, by their beginning and end: one call about two vectors is one
	for n, e := range l.entries {
		at := [2]uint64{e.grant, e.vector}
		switch e.kind {
		case connects:
			if e.vector == anyVector && e.outcome != done && n > 0 && l.entries[n-1].grant == e.grant {
				continue // once for all vectors is enough
			}
			h.connect(l, e)
			if e.outcome == done {
				grants[at] = e
			}
		case disconnects:
			if h.disconnect(l, e, grants[at]); e.outcome != open {
				delete(grants, at)
			}
		case looks:
			h.look(e)
		}
		if e.outcome != open && e.outcome != nothing && e.outcome != unclear && !judged[e.end] {
			judged[e.end] = true
			h.calls++
		}
	}
	for _, e := range grants {
		h.death(l, e)
	}
}

// poorTries is how often a call of a client without descriptors may have been granted before an answer reached it. There can be
// more, ever later; that they all show on the same vector within one call was not seen.
const poorTries = 4

func (h *history) connect(l life, e entry) {
	s := step{grant: e.grant, pid: l.pid}
	end := e.end
	switch e.outcome {
	case done:
		s.what = granted
		h.add(e.vector, s, e.call, end)
	case refused:
		s.what = wasHeld
		h.add(e.vector, s, e.call, end)
	case free:
		s.what = wasFree
		h.add(e.vector, s, e.call, end)
	case passing:
		s.what = perhaps
		h.add(e.vector, s, e.call, end)
	case open, unclear:
		s.what, end = perhaps, h.forgotten(max(e.end, l.reaped))
		h.add(e.vector, s, e.call, end)
	}
	// What was granted when the session broke, and nobody was told, is taken back before the call is made again.
	again := step{perhaps, e.grant | 1<<63, l.pid}
	if l.poor { // whose sessions break without a gap, one try after the other
		for n := range uint64(poorTries) {
			again.grant = e.grant | 1<<63 | (0x4000+n)<<48
			h.add(e.vector, again, e.call, end)
		}
	}
	for n, g := range h.gaps {
		if again.grant = e.grant | 1<<63 | uint64(n+1)<<48; g.meets(e.call, end) {
			h.add(e.vector, again, e.call, end)
		}
	}
}

// forgotten is when a call that nobody waits for since then can have no effect any more: it ends with the worker.
func (h *history) forgotten(since int64) int64 {
	for _, g := range h.gaps {
		if g.from > since && g.kind != scarce {
			return g.to
		}
	}
	return h.end
}

// keeperGap is the first one in which a connection made by e could have been lost.
func (h *history) keeperGap(e entry, until int64) (gap, bool) {
	i := slices.IndexFunc(h.gaps, func(g gap) bool { return g.kind == noKeeper && g.to > e.call && g.from < until })
	if i < 0 {
		return gap{}, false
	}
	return h.gaps[i], true
}

func (h *history) disconnect(l life, e, grant entry) {
	s := step{released, e.grant, l.pid}
	g, mayBeLost := h.keeperGap(grant, e.end)
	switch {
	case e.outcome == done && mayBeLost && slices.ContainsFunc(h.gaps, func(g gap) bool { return g.meets(e.call, e.end) }):
		// It was asked again in another gap, and answered that it was over: who ended it cannot be said.
		h.add(e.vector, step{loosened, e.grant, l.pid}, g.from, e.end)
		s.what = gaveUp
		h.add(e.vector, s, e.call, e.end)
	case e.outcome == done:
		h.add(e.vector, s, e.call, e.end)
	case e.outcome == unclear:
		s.what = loosened
		h.add(e.vector, s, e.call, e.end)
	case e.outcome == lost && mayBeLost:
		s.what = loosened
		h.add(e.vector, s, g.from, e.end)
	case e.outcome == lost:
		h.problems = append(h.problems, fmt.Sprintf("client %d (pid %d) lost vector %d, granted at %d, by %d, and no keeper died meanwhile", l.number, l.pid, e.vector, grant.end, e.end))
	case e.outcome == open:
		s.what = loosened
		h.add(e.vector, s, e.call, l.reaped)
	}
}

// death ends what a client never gave back.
func (h *history) death(l life, e entry) {
	if l.killed == 0 {
		h.problems = append(h.problems, fmt.Sprintf("client %d went on without letting go of %d", l.number, e.vector))
		return
	}
	from := l.killed
	if g, lost := h.keeperGap(e, from); lost {
		from = g.from
	}
	h.add(e.vector, step{loosened, e.grant, l.pid}, from, l.reaped)
}

func (h *history) look(e entry) {
	switch e.outcome {
	case free:
		h.add(e.vector, step{what: wasFree}, e.call, e.end)
	case held:
		h.add(e.vector, step{what: wasOf, pid: e.holder}, e.call, e.end)
	}
}

// check reports whether a sequence of steps explains each vector.
func (h *history) check() porcupine.CheckResult {
	all := porcupine.Ok
	for v, part := range h.parts {
		result := porcupine.CheckOperationsTimeout(vectorModel(), part, 3*time.Second)
		if result == porcupine.Unknown {
			part = h.plain(part)
			result = porcupine.CheckOperationsTimeout(vectorModel(), part, 20*time.Second)
		}
		switch result {
		case porcupine.Illegal:
			h.explain(v, part)
			all = result
		case porcupine.Unknown:
			fmt.Fprintf(os.Stderr, "round %d, vector %d: %d steps were too many to judge\n", h.round, v, len(part))
			if all == porcupine.Ok {
				all = result
			}
		}
	}
	for _, p := range h.problems {
		fmt.Fprintln(os.Stderr, "LOST:", p)
		all = porcupine.Illegal
	}
	return all
}

// plain is a part without what only perhaps happened, and without those who may have seen it: every order of many such steps is too
// much to try. Grants and releases stay. What is left out is not counted as judged.
func (h *history) plain(part []porcupine.Operation) (left []porcupine.Operation) {
	var windows []porcupine.Operation
	for _, o := range part {
		if o.Input.(step).what == perhaps {
			windows = append(windows, o)
		}
	}
	for _, o := range part {
		what := o.Input.(step).what
		seen := (what == wasHeld || what == wasOf) && slices.ContainsFunc(windows, func(w porcupine.Operation) bool { return w.Call <= o.Return && w.Return >= o.Call })
		if seen {
			h.calls--
		}
		if what != perhaps && !seen {
			left = append(left, o)
		}
	}
	return left
}

// explain prints what stands around the first step that no sequence explains.
func (h *history) explain(v int, part []porcupine.Operation) {
	_, info := porcupine.CheckOperationsVerbose(vectorModel(), part, 20*time.Second)
	longest := []porcupine.Operation{}
	for _, tries := range info.PartialLinearizationsOperations() {
		for _, try := range tries {
			if len(try) > len(longest) {
				longest = try
			}
		}
	}
	if len(longest) == 0 {
		return
	}
	at := longest[len(longest)-1].Call
	around := slices.DeleteFunc(slices.Clone(part), func(o porcupine.Operation) bool {
		return o.Return < at-int64(50*time.Millisecond) || o.Call > at+int64(100*time.Millisecond)
	})
	slices.SortFunc(around, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	fmt.Fprintf(os.Stderr, "VIOLATION: round %d, vector %d, explained up to step %d of %d:\n", h.round, v, len(longest), len(part))
	for _, o := range around {
		fmt.Fprintf(os.Stderr, "  %-40v from %d µs to %d µs\n", o.Input, (o.Call-at)/1000, (o.Return-at)/1000)
	}
	for _, g := range h.gaps {
		if g.meets(at-int64(50*time.Millisecond), at+int64(100*time.Millisecond)) {
			fmt.Fprintf(os.Stderr, "  no worker, no keeper, or scarce (%d) from %d µs to %d µs\n", g.kind, (g.from-at)/1000, (g.to-at)/1000)
		}
	}
}
