package ivt

import (
	"context"
	"errors"
	"iter"

	"github.com/ivtd/ivt/api"
)

// Watch iterates over what happens on a source, or on all (""): first what is, then the events, until the loop is
// left or the context ends. With since above 0 there is no snapshot, and the events after that number come first.
//
// When ivtd is restarted the watching goes on after the last event that was seen, with Lost for what could not be told any
// more; with another registry (Status.Instance) it ends with irq.ErrNotConnected.
func (c *Client) Watch(ctx context.Context, source string, since uint64) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		w := watching{wire: c.wire, source: source, since: since}
		for tries := (attempts{}); ; {
			going, err := w.follow(ctx, yield)
			if !going {
				return
			}
			if !errors.Is(err, ErrNoDaemon) || ctx.Err() != nil || w.registry == "" || !tries.another(ctx) {
				yield(Update{}, err)
				return
			}
		}
	}
}

// watching is a Watch over as many sessions as it takes.
type watching struct {
	wire     transport
	source   string
	since    uint64 // the last event that was seen, 0 before Ready
	ready    bool
	registry string
}

// follow watches on one session. going says that the loop was not left, and that the end is err.
func (w *watching) follow(ctx context.Context, yield func(Update, error) bool) (going bool, err error) {
	in := api.WatchIn{Source: w.source}
	if w.since > 0 {
		in.Since = &w.since
	}
	stream, err := w.wire.only(w.registry).more(ctx, "Watch", in)
	if err != nil {
		return true, err
	}
	defer stream.close()
	w.registry = stream.registry()
	for {
		var out api.WatchOut
		more, err := stream.next(&out)
		if err != nil {
			return true, err
		}
		if !more {
			return false, nil
		}
		if u := updateOf(out); w.news(&u) && !yield(u, nil) {
			return false, nil
		}
	}
}

// news takes note of an update, and reports whether it says something new.
func (w *watching) news(u *Update) bool {
	again := u.Ready && w.ready
	switch {
	case u.Ready:
		w.ready = true
		if w.since == 0 {
			w.since = u.Sequence
		}
	case u.Event != nil:
		w.since = max(w.since, u.Event.Sequence)
	}
	return !again || u.Lost > 0
}
