package page

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// A message is one server-sent event.
type message struct {
	event string
	data  []byte
}

// A viewer is one open page. Its queue is bounded: who does not read loses frames, and is told how many events.
type viewer struct {
	queue chan message
	lost  int
}

// hub takes pictures while somebody looks, and passes them and ivtd's events to all viewers.
type hub struct {
	feed     Feed
	interval time.Duration

	mu      sync.Mutex
	viewers map[*viewer]bool
	frames  frames
	wake    chan struct{} // somebody came
}

const (
	viewerQueue = 1024
	leastPause  = 200 * time.Millisecond // between two pictures, however much happens
	firstRetry  = 200 * time.Millisecond
	lastRetry   = 2 * time.Second
)

func newHub(f Feed, interval time.Duration) *hub {
	return &hub{feed: f, interval: interval, viewers: map[*viewer]bool{}, frames: frames{apart: apart(interval)}, wake: make(chan struct{}, 1)}
}

// apart is how far two readings are from each other at least: one that was soon after another would make a rate of milliseconds.
func apart(interval time.Duration) time.Duration {
	if interval <= 0 {
		interval = time.Second
	}
	return interval * 9 / 10
}

// join adds a viewer, whose first message is everything there is, if there was a picture yet.
func (h *hub) join() *viewer {
	v := &viewer{queue: make(chan message, viewerQueue)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if full := h.frames.full(); full != nil {
		v.queue <- message{"frame", full}
	}
	h.viewers[v] = true
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return v
}

func (h *hub) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.viewers, v)
}

// wanted reports whether a picture would tell somebody something: of a saved machine one is all there is.
func (h *hub) wanted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.viewers) > 0 && (h.frames.all == nil || h.feed.Live())
}

// send queues a message for all. A viewer whose queue is full misses it, and gets everything anew when it reads again.
func (h *hub) send(m message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := range h.viewers {
		if v.lost > 0 && len(v.queue) < viewerQueue/2 {
			notice, _ := json.Marshal(map[string]int{"lost": v.lost})
			v.queue <- message{"lost", notice}
			v.queue <- message{"frame", h.frames.full()}
			v.lost = 0
			continue
		}
		select {
		case v.queue <- m:
		default:
			v.lost++
		}
	}
}

// sample takes a picture at each interval, and soon after something happened, while somebody looks.
func (h *hub) sample(ctx context.Context) {
	tick := time.NewTicker(h.interval)
	defer tick.Stop()
	for {
		if h.wanted() {
			h.once(ctx)
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(leastPause, h.interval)):
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-tick.C:
		}
	}
}

func (h *hub) once(ctx context.Context) {
	p, err := h.feed.Picture(ctx)
	if err != nil {
		text, _ := json.Marshal(map[string]string{"error": err.Error()})
		h.send(message{"trouble", text})
		return
	}
	h.mu.Lock()
	first := h.frames.all == nil
	delta, err := h.frames.next(p)
	if first {
		delta = h.frames.full()
	}
	h.mu.Unlock()
	if err != nil {
		return
	}
	h.send(message{"frame", delta})
}

// follow passes ivtd's events on, and goes on from the last one when ivtd comes back.
func (h *hub) follow(ctx context.Context) {
	since, pause := uint64(0), firstRetry
	for ctx.Err() == nil {
		if updates := h.feed.Watch(ctx, since); updates != nil {
			for u, err := range updates {
				if err != nil {
					break
				}
				pause = firstRetry
				since = u.after(since)
				h.tell(u)
			}
		}
		h.soon() // ivtd has gone, or come
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, lastRetry)
		}
	}
}

// after is the number of the last event that is known.
func (u *Update) after(since uint64) uint64 {
	switch {
	case u.Anew != "":
		return 0
	case u.Event != nil:
		return u.Event.Sequence
	case u.Ready && since == 0:
		return u.Sequence
	}
	return since
}

// tell passes on what viewers want to know.
func (h *hub) tell(u Update) {
	if u.Event == nil && u.Lost == 0 && u.Anew == "" {
		return
	}
	if text, err := json.Marshal(map[string]any{"event": eventOf(u.Event), "lost": u.Lost, "anew": u.Anew}); err == nil {
		h.send(message{"event", text})
		h.soon()
	}
}

// soon has the next picture taken now rather than at the next tick: what happened should be seen within a second.
func (h *hub) soon() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}
