package irq

import (
	"context"
	"iter"
	"time"
)

// History iterates over the events that are still in the ring, oldest first: those of one vector, or
// all if v is zero. An event of several vectors (a refusal) counts for each of its conflicts.
func (r *Registry) History(v Vector) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for e, ok := r.log.next(0); ok; e, ok = r.log.next(e.Sequence) {
			if (v.IsZero() || e.concerns(v)) && !yield(e) {
				return
			}
		}
	}
}

// Concerns reports whether the event is about v, or a refusal that v was part of; every event concerns the zero Vector.
func (e Event) Concerns(v Vector) bool { return v.IsZero() || e.concerns(v) }

func (e Event) concerns(v Vector) bool {
	if e.Vector == v {
		return true
	}
	if e.Refused != nil {
		for _, c := range e.Refused.Conflicts {
			if c.Vector == v {
				return true
			}
		}
	}
	return false
}

// next returns the first event after that sequence.
func (h *history) next(after uint64) (Event, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.nextLocked(after)
}

func (h *history) nextLocked(after uint64) (Event, bool) {
	e, ok := h.events.next(after)
	f, other := h.refused.next(after)
	if other && (!ok || f.Sequence < e.Sequence) {
		return f, true
	}
	return e, ok
}

// Watch reads events with a sequence number greater than since from the ring (0: from now on).
func (r *Registry) Watch(since uint64) *Watcher {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if since == 0 || since > r.log.sequence {
		since = r.log.sequence
	}
	return &Watcher{log: &r.log, at: since, closed: make(chan struct{})}
}

// A Watcher never slows the registry: a slow one misses events and is told how many. It is for one goroutine.
type Watcher struct {
	log    *history
	at     uint64
	pace   time.Duration
	awake  bool // an event was returned since the last pause
	closed chan struct{}
}

// Pace makes Next pause that long whenever it has returned all there is, before it waits for more: who wants each event
// but none at once is then not woken by each, which in a daemon that does thousands of things a second costs more than
// what happened.
func (w *Watcher) Pace(pause time.Duration) { w.pace = pause }

// Next returns the next event; lost is how many before it fell out of the ring (a refusal that was
// counted on a later entry is one of them). It waits, or returns the context's error, or ErrNotConnected
// (ReasonClosed) after Close.
func (w *Watcher) Next(ctx context.Context) (e Event, lost uint64, err error) {
	for {
		e, news, ok := w.log.nextOr(w.at, !w.awake)
		if ok {
			lost, w.at, w.awake = e.Sequence-w.at-1, e.Sequence, w.pace > 0
			return e, lost, nil
		}
		var rested <-chan time.Time
		if w.awake {
			rested, w.awake = time.After(w.pace), false
		}
		select {
		case <-rested:
		case <-news:
		case <-w.closed:
			return Event{}, 0, closedError("watcher")
		case <-ctx.Done():
			return Event{}, 0, context.Cause(ctx)
		}
	}
}

// Poll is Next without waiting: ok is false where Next would.
func (w *Watcher) Poll() (e Event, lost uint64, ok bool) {
	if e, ok = w.log.next(w.at); ok {
		lost, w.at = e.Sequence-w.at-1, e.Sequence
	}
	return e, lost, ok
}

// nextOr returns the next event, or, for who waits for it, what is closed when there is one.
func (h *history) nextOr(after uint64, waits bool) (e Event, news <-chan struct{}, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e, ok = h.nextLocked(after); ok || !waits {
		return e, nil, ok
	}
	if h.news == nil {
		h.news = make(chan struct{})
	}
	return e, h.news, false
}

// Close ends the watching; it may be called while Next waits, and once.
func (w *Watcher) Close() { close(w.closed) }
