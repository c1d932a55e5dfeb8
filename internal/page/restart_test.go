package page

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/ivtd/ivt"
)

func (d *ivtd) client() *ivt.Client {
	d.t.Helper()
	c, err := ivt.NewClient(ivt.Socket(d.socket))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	return c
}

func (d *ivtd) connect(vector, label string) {
	d.t.Helper()
	if _, err := d.client().Connect(d.t.Context(), vector, ivt.Label(label)); err != nil {
		d.t.Fatal(err)
	}
}

const gaps = `[...document.querySelectorAll('#time li.gap')].map(l => l.textContent).join('; ')`

func happened(vector, word string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('#time li')].some(l => l.dataset.vector === %q && l.textContent.includes(%q))`, vector, word)
}

// TestPageIsRightAfterRestarts: whatever of ivtd dies, the page says so, then shows who holds now and nobody who does not,
// and where something was missed it says that.
func TestPageIsRightAfterRestarts(t *testing.T) {
	d := startDaemon(t, "[soft.demo]\nvectors = 8\n")
	tab, address := open(t, live(t, d.socket))
	do(t, tab, "load", chromedp.Navigate(address+"#q=soft:demo"))
	d.connect("soft:demo/3", "stays")
	until(t, tab, "a holder", hasRow("soft:demo/3", "stays"))

	d.killWorker()
	d.connect("soft:demo/4", "came later")
	until(t, tab, "who came after the worker died", hasRow("soft:demo/4", "came later"))
	until(t, tab, "its event", happened("soft:demo/4", "connected"))
	until(t, tab, "who was there before", hasRow("soft:demo/3", "stays"))
	if said := ask[string](t, tab, gaps); said != "" {
		t.Errorf("nothing was missed, and it says %q", said)
	}

	d.kill() // everybody is released: there is no keeper any more
	until(t, tab, "that ivtd is gone", `!document.querySelector('#trouble').hidden && document.querySelector('#trouble').textContent.includes('does not answer since')`)
	until(t, tab, "no vectors of an ivtd that is not there", `!document.querySelector('#rows tr[data-name]')`)

	d.start()
	d.connect("soft:demo/5", "new world")
	until(t, tab, "the new holder", hasRow("soft:demo/5", "new world"))
	until(t, tab, "that it is another one", gaps+`.includes('was started anew')`)
	until(t, tab, "no trouble", `document.querySelector('#trouble').hidden`)
	for _, vector := range []string{"soft:demo/3", "soft:demo/4"} {
		until(t, tab, "no stale holder", hasRow(vector, "free"))
	}
	d.connect("soft:demo/6", "after all that")
	until(t, tab, "its event", happened("soft:demo/6", "connected"))
}
