package page

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/term"
)

//go:embed assets
var assets embed.FS

// Options of Serve.
type Options struct {
	Token    string        // in the address; "" lets everybody in
	AnyHost  bool          // behind a proxy: Host may be anything
	Interval time.Duration // between two pictures; default one second
	Metrics  http.Handler  // also served, under /metrics; nil: not
}

// Serve serves the page on l until ctx ends. Viewers are cut off then.
func Serve(ctx context.Context, l net.Listener, f Feed, o Options) error {
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	ctx, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	g := &guard{token: o.Token}
	if !o.AnyHost {
		g.hosts = loopbackHosts(l.Addr())
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler(ctx, f, o.Interval, &work))
	if o.Metrics != nil {
		mux.Handle("GET /metrics", o.Metrics)
	}
	g.next = mux
	s := &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	work.Go(func() {
		<-ctx.Done()
		s.Close()
	})
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handler serves the parts of the page. Its goroutines are counted in work, and end with ctx.
func handler(ctx context.Context, f Feed, interval time.Duration, work *sync.WaitGroup) http.Handler {
	h := newHub(f, interval)
	work.Go(func() { h.sample(ctx) })
	if f.Live() {
		work.Go(func() { h.follow(ctx) })
	}
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /api/stream", h.stream)
	mux.HandleFunc("GET /api/history", func(w http.ResponseWriter, r *http.Request) {
		events, err := f.History(r.Context(), r.FormValue("vector"))
		list := make([]*event, 0, len(events))
		for i := range events {
			list = append(list, eventOf(&events[i]))
		}
		answer(w, map[string]any{"events": list}, err)
	})
	mux.HandleFunc("GET /api/findings", func(w http.ResponseWriter, r *http.Request) {
		report, err := f.Findings(r.Context())
		answer(w, report, err)
	})
	mux.HandleFunc("GET /api/explain", func(w http.ResponseWriter, r *http.Request) {
		var text bytes.Buffer
		err := explain.Explain(term.Output{Writer: &text, Width: 72}, r.FormValue("q"), nil, explain.Options{})
		answer(w, map[string]string{"text": text.String()}, err)
	})
	return mux
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		v = map[string]string{"error": err.Error()}
	}
	json.NewEncoder(w).Encode(v) // a viewer that went away is no error of ours
}

// viewerPause is how long a viewer waits for the second of two messages: what comes fast is sent together, since each sending
// costs system calls and a wake-up.
const viewerPause = 100 * time.Millisecond

// stream sends frames and events (server-sent events, HTML Living Standard 9.2).
func (h *hub) stream(w http.ResponseWriter, r *http.Request) {
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	v := h.join()
	defer h.leave(v)
	var text bytes.Buffer
	text.WriteString("retry: 500\n\n")
	for v.next(r.Context(), &text) {
		out.SetWriteDeadline(time.Now().Add(10 * time.Second)) // one that does not read is cut off
		if _, err := text.WriteTo(w); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
		case <-time.After(viewerPause):
		}
	}
}

// next waits for a message and writes it, and those that are there besides. It reports false when ctx has ended.
func (v *viewer) next(ctx context.Context, text *bytes.Buffer) bool {
	select {
	case <-ctx.Done():
		return false
	case m := <-v.queue:
		m.write(text)
	}
	for n := len(v.queue); n > 0; n-- {
		(<-v.queue).write(text)
	}
	return true
}

func (m message) write(text *bytes.Buffer) {
	fmt.Fprintf(text, "event: %s\ndata: %s\n\n", m.event, m.data)
}
