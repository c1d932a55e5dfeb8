package irq

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// A history is the last events, in two halves that are read as one: what happened, and what was refused.
// However many refusals there are, they push out refusals only. And of these
//   - the same again (same process, operation, code, vector) within a minute is counted on the entry that
//     is there, which is told anew at 10, 100, 1000, … repeats;
//   - one process has at most an eighth of the half: what is more pushes out its own oldest.
//
// So a client that is refused in a loop cannot wipe out what happened to others.
type history struct {
	mu       sync.Mutex
	sequence uint64
	events   ring
	refused  ring
	same     map[refusalKey]uint64 // sequence of the entry
	owned    map[owner]int         // entries
	counts   map[Code]uint64
	news     chan struct{} // closed at the next event; nil if nobody waits
	mark     func(uint64)  // Config.Mark
}

type owner struct {
	pid   int
	start uint64
}

type refusalKey struct {
	owner
	operation string
	code      Code
	reason    Reason
	vector    Vector
	name      string
}

const (
	sameSpan   = time.Minute
	ownerShare = 8
)

func newHistory(c Config) history {
	half := max(c.EventRing/2, 1)
	return history{
		sequence: c.Sequence, mark: c.Mark, events: ring{most: half}, refused: ring{most: half},
		same: map[refusalKey]uint64{}, owned: map[owner]int{}, counts: map[Code]uint64{},
	}
}

// add appends an event.
func (h *history) add(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.Kind == EventRefused && e.Refused != nil {
		h.refuseLocked(e)
		return
	}
	h.sequence++
	e.Sequence = h.sequence
	h.events.add(e)
	h.tell()
}

// totals returns the last sequence number and how many refusals there were of each code.
func (h *history) totals() (uint64, map[Code]uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sequence, maps.Clone(h.counts)
}

func (h *history) tell() {
	if h.mark != nil {
		h.mark(h.sequence)
	}
	if h.news != nil {
		close(h.news)
		h.news = nil
	}
}

// refuse appends a refusal, or counts it.
func (h *history) refuse(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuseLocked(e)
}

func (h *history) refuseLocked(e Event) {
	h.counts[e.Refused.Code]++
	key := keyOf(e)
	if i, ok := h.refused.find(h.same[key]); ok {
		was := &h.refused.events[i]
		if e.Time.Sub(cmp.Or(was.Until, was.Time)) < sameSpan {
			was.Repeats, was.Until = was.Repeats+1, e.Time
			if !powerOfTen(was.Repeats) {
				return
			}
			e.Repeats, e.Until, e.Time = was.Repeats, was.Until, was.Time
			h.drop(i)
		}
	}
	if h.owned[key.owner] >= max(1, h.refused.most/ownerShare) {
		h.drop(slices.IndexFunc(h.refused.events, func(e Event) bool { return e.Kind != "" && ownerOf(e) == key.owner }))
	}
	h.sequence++
	e.Sequence = h.sequence
	h.same[key] = e.Sequence
	h.owned[key.owner]++
	if out := h.refused.add(e); out.Kind != "" {
		h.forget(out)
	}
	h.tell()
}

// drop makes a hole.
func (h *history) drop(i int) {
	h.forget(h.refused.events[i])
	h.refused.drop(i)
}

// forget takes an entry out of the accounts.
func (h *history) forget(e Event) {
	key := keyOf(e)
	if h.same[key] == e.Sequence {
		delete(h.same, key)
	}
	if h.owned[key.owner]--; h.owned[key.owner] == 0 {
		delete(h.owned, key.owner)
	}
}

func keyOf(e Event) refusalKey {
	return refusalKey{ownerOf(e), e.Refused.Operation, e.Refused.Code, e.Refused.Reason, e.Vector, e.Refused.Name}
}

func ownerOf(e Event) owner {
	if e.Holder == nil {
		return owner{}
	}
	return owner{e.Holder.PID, e.Holder.StartTime}
}

func powerOfTen(n uint64) bool {
	for n > 10 && n%10 == 0 {
		n /= 10
	}
	return n == 10
}
