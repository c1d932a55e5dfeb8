package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhoMayLook(t *testing.T) {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("in " + r.URL.Path)) })
	g := &guard{token: "SECRET", hosts: []string{"127.0.0.1:80", "localhost:80"}, next: inner}
	for _, row := range []struct {
		name, method, path, host, origin string
		status                           int
		body                             string
	}{
		{name: "the token is in the address", path: "/SECRET/api/x", status: 200, body: "in /api/x"},
		{name: "localhost is this server", path: "/SECRET/", host: "localhost:80", status: 200},
		{name: "its own origin", path: "/SECRET/", origin: "http://127.0.0.1:80", status: 200},
		{name: "without the last slash", path: "/SECRET", status: 301},
		{name: "no token", path: "/", status: 403},
		{name: "a wrong token", path: "/SECRE/", status: 403},
		{name: "a token with more behind it", path: "/SECRETS/", status: 403},
		{name: "a name that was made to point here", path: "/SECRET/", host: "evil.example:80", status: 421},
		{name: "another port", path: "/SECRET/", host: "127.0.0.1:81", status: 421},
		{name: "another site's script", path: "/SECRET/", origin: "http://evil.example", status: 403},
		{name: "an origin that is none", path: "/SECRET/", origin: "null", status: 403},
		{name: "a change", method: "POST", path: "/SECRET/", status: 405},
	} {
		t.Run(row.name, func(t *testing.T) {
			method, host := "GET", "127.0.0.1:80"
			if row.method != "" {
				method = row.method
			}
			if row.host != "" {
				host = row.host
			}
			r := httptest.NewRequest(method, "http://"+host+row.path, nil)
			if row.origin != "" {
				r.Header.Set("Origin", row.origin)
			}
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			if w.Code != row.status || !strings.Contains(w.Body.String(), row.body) {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, row.status, row.body)
			}
			if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("content policy %q", csp)
			}
		})
	}
}

func TestNothingIsInlineOrFromElsewhere(t *testing.T) {
	text, err := assets.ReadFile("assets/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"http://", "https://", "onclick", "style=", "<script>"} {
		if strings.Contains(string(text), bad) {
			t.Errorf("index.html has %s", bad)
		}
	}
}

func TestASlowViewerMissesFramesAndIsToldOfIt(t *testing.T) {
	h := newHub(nil, 1)
	h.frames.text = []byte(`{"full":true}`)
	slow, quick := h.join(), h.join()
	for range viewerQueue + 10 {
		h.send(message{"event", []byte("{}")})
		<-quick.queue
	}
	if slow.lost == 0 {
		t.Fatal("nothing was lost")
	}
	for range viewerQueue {
		<-slow.queue
	}
	h.send(message{"event", []byte("{}")})
	if m := <-slow.queue; m.event != "lost" {
		t.Errorf("got %s first, want the notice", m.event)
	}
	if m := <-slow.queue; m.event != "frame" {
		t.Errorf("got %s, want everything anew", m.event)
	}
}
