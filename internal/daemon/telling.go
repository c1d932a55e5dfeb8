package daemon

import (
	"sync"
	"time"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// beatTime is how long at most a watcher waits for the second of two events. Without it each event would cost a
// system call and a wake-up for each watcher: fifty of them, at a thousand events a second, a third of a core.
const beatTime = 50 * time.Millisecond

// A beat lets those wait together who were told something just now, so that the machine wakes once for all.
type beat struct {
	mu   sync.Mutex
	come chan struct{} // nil while nobody waits
}

// next is closed at the next beat, which is in beatTime if nobody waits yet.
func (b *beat) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.come == nil {
		come := make(chan struct{})
		b.come = come
		time.AfterFunc(beatTime, func() {
			b.mu.Lock()
			b.come = nil
			b.mu.Unlock()
			close(come)
		})
	}
	return b.come
}

// mostTold is how many bytes of events are sent at once.
const mostTold = 32 << 10

// A telling is what one watcher is about to be sent.
type telling struct {
	server  *Server
	caller  *caller
	source  string // only this one; empty: all
	replies []varlink.Prepared
	bytes   int
	lost    uint64 // of what was not sent
}

func (t *telling) full() bool  { return t.bytes >= mostTold }
func (t *telling) empty() bool { return len(t.replies) == 0 }

// clear begins anew, and reports whether that was all there was.
func (t *telling) clear() (all bool) {
	all = !t.full()
	t.replies, t.bytes = t.replies[:0], 0
	return all
}

// add takes an event, and how many were missed before it. One that is not for this watcher is left out; that something
// was missed is told also then.
func (t *telling) add(e irq.Event, missed uint64) error {
	t.lost += missed
	hidden := t.source != "" && e.Source != t.source && e.Vector.Source != t.source || !t.caller.sees(e)
	if hidden && missed == 0 {
		return nil
	}
	var reply varlink.Prepared
	var err error
	switch {
	case hidden:
		reply, err = varlink.Prepare(api.WatchOut{Lost: t.lost})
	case t.lost > 0:
		event := api.FromEvent(e)
		reply, err = varlink.Prepare(api.WatchOut{Lost: t.lost, Event: &event})
	default:
		reply, err = t.server.told.event(e)
	}
	if err != nil {
		return err
	}
	t.replies, t.bytes, t.lost = append(t.replies, reply), t.bytes+reply.Len(), 0
	return nil
}

// told keeps the latest events as they are sent: what many watchers are told is encoded once.
type told struct {
	mu     sync.Mutex
	latest [256]struct {
		sequence, repeats uint64
		reply             varlink.Prepared
	}
}

func (t *told) event(e irq.Event) (varlink.Prepared, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot := &t.latest[e.Sequence%uint64(len(t.latest))]
	if slot.sequence == e.Sequence && slot.repeats == e.Repeats {
		return slot.reply, nil
	}
	event := api.FromEvent(e)
	reply, err := varlink.Prepare(api.WatchOut{Event: &event})
	if err == nil {
		slot.sequence, slot.repeats, slot.reply = e.Sequence, e.Repeats, reply
	}
	return reply, err
}
