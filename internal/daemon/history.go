package daemon

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// A History remembers events (rule 13) for longer than the registry does.
type History interface {
	// Add appends an event. It is called from one goroutine; while it waits, the registry's own ring fills.
	Add(e irq.Event) error
	// Read calls yield for the events with a sequence number above after, oldest first, until it returns false.
	Read(after uint64, yield func(irq.Event) bool) error
	// Close lets go of what it has open.
	Close() error
}

// inMemory is the History without a store: what the registry's ring has.
type inMemory struct{ registry *irq.Registry }

func (h inMemory) Read(after uint64, yield func(irq.Event) bool) error {
	for e := range h.registry.History(irq.Vector{}) {
		if e.Sequence > after && !yield(e) {
			break
		}
	}
	return nil
}

func (inMemory) Add(irq.Event) error { return nil }
func (inMemory) Close() error        { return nil }

// historian copies what happens into a store.
type historian struct {
	History
	ring   inMemory
	cancel context.CancelFunc
	loop   sync.WaitGroup
	log    *slog.Logger
	at     atomic.Uint64 // the last event that the store was given
}

// Read is that of the store, and then of the ring what the store has not been given yet.
func (h *historian) Read(after uint64, yield func(irq.Event) bool) error {
	going := true
	each := func(e irq.Event) bool {
		after, going = e.Sequence, yield(e)
		return going
	}
	if err := h.History.Read(after, each); err != nil || !going {
		return err
	}
	return h.ring.Read(after, each)
}

func newHistorian(r *irq.Registry, store History, log *slog.Logger) *historian {
	if store == nil {
		h := &historian{History: inMemory{r}, ring: inMemory{r}, cancel: func() {}, log: log}
		h.at.Store(math.MaxUint64)
		return h
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &historian{History: store, ring: inMemory{r}, cancel: cancel, log: log}
	w := r.Watch(0)
	h.loop.Go(func() { h.run(ctx, w) })
	return h
}

// recordPause is how long those who write down what happens let it come together.
const recordPause = 20 * time.Millisecond

func (h *historian) run(ctx context.Context, w *irq.Watcher) {
	defer w.Close()
	w.Pace(recordPause)
	var last uint64
	defer func() { // what happened within the last pause
		h.ring.Read(last, func(e irq.Event) bool { h.record(e); return true })
	}()
	for {
		e, lost, err := w.Next(ctx)
		if err != nil {
			return
		}
		last = max(last, e.Sequence)
		if lost > 0 {
			h.log.Warn("history missed events", "lost", lost)
		}
		h.record(e)
		h.at.Store(e.Sequence)
	}
}

// follow returns when the store has been given all events up to that one; false if ctx ended before.
func (h *historian) follow(ctx context.Context, sequence uint64) bool {
	for h.at.Load() < sequence {
		select {
		case <-time.After(recordPause / 4):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (h *historian) record(e irq.Event) {
	if err := h.Add(e); err != nil {
		h.log.Error("write history", "err", err)
	}
}

func (h *historian) close() {
	h.cancel()
	h.loop.Wait()
	if err := h.Close(); err != nil {
		h.log.Error("close history", "err", err)
	}
}

func (s *Server) pastEvents(c *varlink.Call, k *caller) error {
	var in api.HistoryIn
	if err := c.Decode(&in); err != nil {
		return malformed("read history", "", "since is no time as RFC 3339 writes it, such as 2026-01-31T12:00:00Z")
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
	return e.Concerns(v) || e.Vector.IsZero() && e.Source == v.Source
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
