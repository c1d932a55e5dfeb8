package page

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// hiding shows one source of two to strangers.
var hiding = fmt.Sprintf("[soft.demo]\nvectors=8\n[soft.secret]\nvectors=2\n[[allow]]\nvectors=[\"soft:*\"]\nuid=%d\n[[allow]]\nvectors=[\"soft:secret/*\"]\nuser=\"*\"\nhide=true\n", os.Getuid())

// TestPublicPage: what ivtd --listen shows to everybody has vectors and refusals, and neither what is hidden nor who anybody is; those who
// look but do not read keep nobody waiting, and it comes back with its worker.
func TestPublicPage(t *testing.T) {
	tab := browser(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	d := startDaemon(t, hiding, "--listen", address)
	d.connect("soft:secret/1", "private-label")
	d.connect("soft:demo/3", "private-label")
	do(t, tab, "load", chromedp.Navigate("http://"+address+"/#sel=soft:demo/3"))
	until(t, tab, "a holder without a name", hasRow("soft:demo/3", "a process"))
	if _, err := d.client().Connect(t.Context(), "soft:demo/3", ivt.Label("private-label")); !errors.Is(err, irq.ErrAlreadyConnected) {
		t.Fatal(err)
	}
	until(t, tab, "the refusal", `document.querySelector('#time li[data-kind=refused]')?.textContent.includes('763')`)
	if n := ask[string](t, tab, `document.querySelector('#standing').textContent`); !strings.Contains(n, "hands out 8, 1 held") {
		t.Errorf("what is hidden is counted: %q", n)
	}

	idlers(t, address, 20)
	c, err := d.client().Connect(t.Context(), "soft:demo/5")
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if err := errors.Join(c.Mask(t.Context(), c.Vectors()[0]), c.Unmask(t.Context(), c.Vectors()[0])); err != nil {
			t.Fatal(err)
		}
	}
	d.connect("soft:demo/6", "private-label")
	until(t, tab, "what happened after much", happened("soft:demo/6", "connected"))
	until(t, tab, "its holder", hasRow("soft:demo/6", "connected"))

	d.killWorker()
	until(t, tab, "that there was no server", gaps+`.includes('had no server from')`)
	d.connect("soft:demo/7", "private-label")
	until(t, tab, "the next worker's events", happened("soft:demo/7", "connected"))
	until(t, tab, "who was there before", hasRow("soft:demo/3", "a process"))
	until(t, tab, "no trouble", `document.querySelector('#trouble').hidden`)

	shown := ask[string](t, tab, `document.documentElement.outerHTML`)
	r, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	metrics, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"page": shown, "metrics": string(metrics)} {
		for _, private := range []string{"private-label", "secret", fmt.Sprintf("pid %d", os.Getpid()), fmt.Sprintf("[%d]", os.Getpid())} {
			if strings.Contains(text, private) {
				t.Errorf("the %s has %q", where, private)
			}
		}
	}
}

// idlers open the page's stream and never read.
func idlers(t *testing.T, address string, n int) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.(*net.TCPConn).SetReadBuffer(1024)
		if _, err := fmt.Fprintf(c, "GET /api/stream HTTP/1.1\r\nHost: %s\r\n\r\n", address); err != nil {
			t.Fatal(err)
		}
	}
}
