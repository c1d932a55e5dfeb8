package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// A History remembers events (rule 13). Add is called from one goroutine, Read from any.
type History interface {
	// Add appends an event. It must not wait for long: while it does, the registry's own ring fills.
	Add(e irq.Event) error
	// Read calls yield for the events with a sequence number above after, oldest first, until it returns false.
	Read(after uint64, yield func(irq.Event) bool) error
	// Close lets go of what it has open.
	Close() error
}

// historian copies what happens into a History.
type historian struct {
	History
	watcher *irq.Watcher
	cancel  context.CancelFunc
	loop    sync.WaitGroup
	log     *slog.Logger
}

func newHistorian(r *irq.Registry, h History, log *slog.Logger) *historian {
	ctx, cancel := context.WithCancel(context.Background())
	w := &historian{History: h, watcher: r.Watch(0), cancel: cancel, log: log}
	w.loop.Go(func() { w.run(ctx) })
	return w
}

func (h *historian) run(ctx context.Context) {
	defer h.watcher.Close()
	for {
		e, lost, err := h.watcher.Next(ctx)
		if err != nil {
			return
		}
		if lost > 0 {
			h.log.Warn("history missed events", "lost", lost)
		}
		if err := h.Add(e); err != nil {
			h.log.Error("write history", "err", err)
		}
	}
}

func (h *historian) close() {
	h.cancel()
	h.loop.Wait()
	if err := h.Close(); err != nil {
		h.log.Error("close history", "err", err)
	}
}

// ring is a History in memory.
type ring struct {
	mu     sync.Mutex
	events []irq.Event // circular once it is full
	first  int
	limit  int
}

func newRing(limit int) *ring { return &ring{limit: max(limit, 1)} }

func (r *ring) Add(e irq.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) < r.limit {
		r.events = append(r.events, e)
		return nil
	}
	r.events[r.first] = e
	r.first = (r.first + 1) % r.limit
	return nil
}

func (r *ring) Read(after uint64, yield func(irq.Event) bool) error {
	r.mu.Lock()
	var found []irq.Event
	for i := range r.events {
		if e := r.events[(r.first+i)%len(r.events)]; e.Sequence > after {
			found = append(found, e)
		}
	}
	r.mu.Unlock()
	for _, e := range found {
		if !yield(e) {
			break
		}
	}
	return nil
}

func (r *ring) Close() error { return nil }

func (s *Server) pastEvents(c *varlink.Call, k *caller) error {
	var in api.HistoryIn
	if err := c.Decode(&in); err != nil {
		return err
	}
	var v irq.Vector
	var after uint64
	var err error
	if in.Vector != "" {
		if v, err = parseVector(in.Vector, "read history"); err != nil {
			return err
		}
		if info, err := s.registry.Lookup(v); err == nil {
			v = info.Vector // an alias
		}
	}
	if in.After != "" {
		if after, err = strconv.ParseUint(in.After, 10, 64); err != nil {
			return malformed("read history", in.After, "after is not what a former reply called next")
		}
	}
	out := api.HistoryOut{Events: []api.Event{}}
	err = s.history.Read(after, func(e irq.Event) bool {
		if !s.concerns(e, v, in.Since) || !k.sees(e) {
			return true
		}
		if len(out.Events) == pageSize {
			out.Next = strconv.FormatUint(out.Events[pageSize-1].Sequence, 10)
			return false
		}
		out.Events = append(out.Events, api.FromEvent(e))
		return true
	})
	if err != nil {
		return errors.Join(errors.New("read history"), err)
	}
	return c.Reply(out)
}

// concerns reports whether an event is about v (zero: any vector), or its whole source, and not before since.
func (s *Server) concerns(e irq.Event, v irq.Vector, since time.Time) bool {
	if e.Time.Before(since) {
		return false
	}
	if v.IsZero() || e.Vector == v || e.Vector.IsZero() && e.Source == v.Source {
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

// sees reports whether the policy lets the caller know of an event.
func (k *caller) sees(e irq.Event) bool {
	if !e.Vector.IsZero() && !k.gate.Visible(e.Vector) {
		return false
	}
	if e.Refused != nil {
		for _, c := range e.Refused.Conflicts {
			if !k.gate.Visible(c.Vector) {
				return false
			}
		}
	}
	return e.Source == "" || k.gate.Visible(irq.Vector{Source: e.Source})
}
