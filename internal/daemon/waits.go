package daemon

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ivtd/ivt/internal/keeper"
	"github.com/ivtd/ivt/irq"
)

// A turnKept is a request in a queue. After a restart its process asks again, and takes its place by being who it is.
type turnKept struct {
	PID     int          `json:"pid"`
	Start   uint64       `json:"start"`
	Vectors []irq.Vector `json:"vectors"`
	Turn    uint64       `json:"turn"`
}

func (w *turnKept) pack() []byte {
	f := fields{b: []byte{recordWhole}}
	f.turn(w)
	return f.b
}

// unpack reads what pack wrote, and the JSON of former versions.
func (w *turnKept) unpack(b []byte) error {
	if len(b) > 0 && b[0] == recordJSON {
		return json.Unmarshal(b, w)
	}
	if len(b) == 0 || b[0] != recordWhole {
		return errRecord
	}
	f := fields{b: b[1:], reading: true}
	return f.done(func() { f.turn(w) })
}

func (f *fields) turn(w *turnKept) {
	number(f, &w.PID)
	number(f, &w.Start)
	list(f, &w.Vectors, f.vector)
	number(f, &w.Turn)
}

// waits are those of a former worker whose processes have not come back yet.
type waits struct {
	mu   sync.Mutex
	all  []turnKept
	ends time.Time
}

// waitsLast is how long a place in a queue is held for who has to connect again.
const waitsLast = 30 * time.Second

func readWaits(entries map[string]*keeper.Entry, log *slog.Logger) *waits {
	ws := &waits{ends: time.Now().Add(waitsLast)}
	for key, e := range entries {
		var w turnKept
		if err := w.unpack(e.Value); err != nil {
			log.Error("a place in a queue is lost", "key", key, "err", err)
			continue
		}
		ws.all = append(ws.all, w)
	}
	slices.SortFunc(ws.all, func(a, b turnKept) int { return int(int64(a.Turn) - int64(b.Turn)) })
	return ws
}

// turn returns the place that the same process had for the same vectors, once; 0 if it had none.
func (ws *waits) turn(h irq.Holder, vectors []irq.Vector) uint64 {
	if ws == nil {
		return 0
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if time.Now().After(ws.ends) {
		ws.all = nil
	}
	for i, w := range ws.all {
		if w.PID == h.PID && w.Start == h.StartTime && slices.Equal(w.Vectors, vectors) {
			ws.all = slices.Delete(ws.all, i, i+1)
			return w.Turn
		}
	}
	return 0
}

// queued arranges that a request keeps its place across a restart. The function it returns ends that.
func (s *Server) queued(q *irq.Request) (leave func()) {
	if s.keeping == nil || q.Any != nil {
		return func() {}
	}
	q.Turn = s.formerWaits.turn(q.Holder, q.Vectors)
	var key string
	q.OnWait = func(turn uint64) {
		s.keeping.atLeast(globalTurn, turn)
		w := turnKept{q.Holder.PID, q.Holder.StartTime, q.Vectors, turn}
		name := waitPrefix + strconv.FormatUint(turn, 10)
		if err := s.keeping.Put(name, w.pack()); err != nil {
			s.log.Warn("a place in a queue would not survive a restart", "err", err)
			return
		}
		key = name
	}
	return func() {
		if key != "" && context.Cause(s.base) != errLeaving {
			s.keeping.Drop(key)
		}
	}
}
