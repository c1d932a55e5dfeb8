package page

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/irq"
)

var update = flag.Bool("update", false, "write the screenshots of the README")

// missing skips a test that needs something, or fails it where everything has to be there.
func missing(t *testing.T, what, cure string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("no %s; try: %s", what, cure)
	}
	t.Skipf("no %s; try: %s", what, cure)
}

func TestMain(m *testing.M) {
	if name, vector, ok := strings.Cut(os.Getenv(driverVariable), " "); ok {
		drive(name, vector)
		return
	}
	status := m.Run()
	endBrowser()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(status)
}

func within(t *testing.T, d time.Duration, what string, done func() bool) {
	t.Helper()
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for end := time.After(d); ; {
		if done() {
			return
		}
		select {
		case <-ticks.C:
		case <-end:
			t.Fatalf("waited %v for %s", d, what)
		}
	}
}

const often = 250 * time.Millisecond

// open serves the page and shows it in a real browser. Console errors fail the test.
func open(t *testing.T, f Feed) (context.Context, string) {
	t.Helper()
	tab := browser(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	token := NewToken()
	serving.Go(func() {
		if err := Serve(ctx, l, f, Options{Token: token, Interval: often}); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); serving.Wait() })
	return tab, fmt.Sprintf("http://%s/%s/", l.Addr(), token)
}

// browser opens a tab of its own in the browser of all tests: cookies, cache and zoom are not shared.
func browser(t *testing.T) context.Context {
	t.Helper()
	first, err := chromium()
	if errors.Is(err, exec.ErrNotFound) {
		missing(t, "browser", "apt-get install chromium")
	}
	if err != nil {
		t.Fatal(err)
	}
	tab, endTab := chromedp.NewContext(first, chromedp.WithNewBrowserContext(), chromedp.WithListener(func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page threw: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
		case *runtime.EventConsoleAPICalled:
			if e.Type == "error" {
				t.Errorf("console error: %v", e.Args)
			}
		}
	}))
	t.Cleanup(endTab)
	do(t, tab, "a tab", chromedp.EmulateViewport(1400, 1150))
	return tab
}

// chromium starts a real browser once for all tests; it ends with endBrowser.
var chromium = sync.OnceValues(func() (first context.Context, err error) {
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if program, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1400, 1150))
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	first, end := chromedp.NewContext(allocator)
	endBrowser = func() { end(); endAllocator() }
	return first, chromedp.Do(first)
})

var endBrowser = func() {}

func do(t *testing.T, tab context.Context, what string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(tab, actions...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// ask evaluates a script in the page, promises included.
func ask[T any](t *testing.T, tab context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(tab, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return v
}

// until waits for a script to be true.
func until(t *testing.T, tab context.Context, what, script string) {
	t.Helper()
	within(t, time.Minute, what, func() bool { return ask[bool](t, tab, "!!("+script+")") })
}

func scheme(t *testing.T, tab context.Context, value string) {
	t.Helper()
	do(t, tab, value, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}})
		return chromedp.Void{}, err
	})
}

func live(t *testing.T, socket string) *Machine {
	t.Helper()
	root, err := host.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	m := &Machine{Root: root, Options: []ivt.Option{ivt.Socket(socket)}, Interval: often}
	t.Cleanup(m.Close)
	return m
}

func hasRow(name, text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('#rows tr[data-name]')].some(r => r.dataset.name === %q && r.textContent.includes(%q))`, name, text)
}

func TestPageShowsAConnectAndARefusalWithBothParties(t *testing.T) {
	socket := startDaemon(t, "[soft.demo]\nvectors = 64\nshareable = true\n").socket
	tab, address := open(t, live(t, socket))
	do(t, tab, "load", chromedp.Navigate(address+"#q=soft:demo"))
	until(t, tab, "free vectors", hasRow("soft:demo/0", "free"))

	client, err := ivt.NewClient(ivt.Socket(socket))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := client.Connect(t.Context(), "soft:demo/3", ivt.Label("nic-rx <img src=x onerror=alert(1)>"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(context.Background())
	start := time.Now()
	until(t, tab, "the connect", hasRow("soft:demo/3", "nic-rx"))
	t.Logf("a connect showed after %v", time.Since(start).Round(time.Millisecond))

	if _, err := client.Connect(t.Context(), "soft:demo/3", ivt.Label("second")); !errors.Is(err, irq.ErrAlreadyConnected) {
		t.Fatalf("got %v", err)
	}
	until(t, tab, "the refusal", `document.querySelector('#time li[data-kind=refused]')?.textContent.includes('763')`)
	parties := ask[string](t, tab, `document.querySelector('#time li[data-kind=refused] .refusal').textContent`)
	if !strings.Contains(parties, "second") || !strings.Contains(parties, fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("the refusal does not name both: %q", parties)
	}

	ask[bool](t, tab, `document.querySelector('#rows tr[data-name="soft:demo/3"] td').click() ?? true`)
	until(t, tab, "the details", `document.querySelector('#detail h2').textContent === 'soft:demo/3' && document.querySelector('#detail dl').textContent.includes('onerror')`)
	if n := ask[int](t, tab, `document.querySelectorAll('#detail img, #time img, #rows img').length`); n != 0 {
		t.Error("a label became an element")
	}
	ask[bool](t, tab, `document.querySelector('#detail button').click() ?? true`)
	until(t, tab, "the explanation", `document.querySelector('#detail pre')?.textContent.includes('ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED')`)
}

// TestPagePictures takes the README's screenshots: drivers that receive, and one that was refused.
func TestPagePictures(t *testing.T) {
	if !*update {
		t.Skip("they are taken on request; try: go test ./internal/page -run Pictures -args -update")
	}
	d := startDaemon(t, "[soft.demo]\nvectors = 64\nshareable = true\n")
	tab, address := open(t, live(t, d.socket))
	client := d.client()
	t.Setenv("IVT_SOCKET", d.socket)
	for i, name := range []string{"nic-worker", "camerad", "audiod", "keypad"} {
		driver(t, name, fmt.Sprintf("soft:demo/%d", 12+7*i))
	}
	do(t, tab, "a page for the screenshot", chromedp.EmulateViewport(1400, 1150), chromedp.Navigate("about:blank"), chromedp.Navigate(address+"#sel=soft:demo/12"))
	driver(t, "testpmd", "soft:demo/12")
	until(t, tab, "everything", `+document.body.dataset.frames > 4 && document.querySelector('#findings').childElementCount > 0 && document.querySelector('#time .refusal')`)
	for _, colours := range []string{"light", "dark"} {
		scheme(t, tab, colours)
		for range 20 {
			if err := client.Raise(t.Context(), "soft:demo/12", 5); err != nil {
				t.Fatal(err)
			}
		}
		until(t, tab, "a rate", `(rate => rate && rate !== '0.0')([...document.querySelectorAll('#detail dt')].find(d => d.textContent === 'a second')?.nextSibling.textContent)`)
		ask[bool](t, tab, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
		png, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.MkdirAll("../../docs/images", 0o755)
		}
		if err == nil {
			err = os.WriteFile("../../docs/images/page-"+colours+".png", png, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPageByKeyboardFilterAddressAndColours(t *testing.T) {
	socket := startDaemon(t, "[soft.demo]\nvectors = 64\n").socket
	tab, address := open(t, live(t, socket))
	do(t, tab, "load", chromedp.Navigate(address))
	until(t, tab, "rows", `document.querySelectorAll('#rows tr[data-name]').length > 5`)
	// A synthetic "/" of the debugging protocol also types the character, which a real one does not after preventDefault.
	ask[bool](t, tab, `document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true, cancelable: true})) === false`)
	do(t, tab, "type", chromedp.KeyEvent("soft:demo/6"))
	until(t, tab, "the filter by typing", `document.querySelector('#filter').value === 'soft:demo/6'`)
	until(t, tab, "the filter", `document.querySelector('#shown').textContent.startsWith('5 of')`)
	if hash := ask[string](t, tab, `location.hash`); !strings.Contains(hash, "q=soft") {
		t.Errorf("the address does not keep the filter: %s", hash)
	}
	ask[bool](t, tab, `document.querySelector('#map').focus() ?? true`)
	for range 2 {
		ask[bool](t, tab, `document.querySelector('#map').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}))`)
	}
	until(t, tab, "a choice by arrows", `document.querySelector('#rows tr[aria-selected=true]')?.dataset.name === 'soft:demo/60'`)
	for colours, want := range map[string]string{"dark": "rgb(19, 20, 23)", "light": "rgb(251, 251, 250)"} {
		scheme(t, tab, colours)
		if got := ask[string](t, tab, `getComputedStyle(document.body).backgroundColor`); got != want {
			t.Errorf("%s: the background is %s", colours, got)
		}
	}
	do(t, tab, "a narrow window", chromedp.EmulateViewport(400, 800))
	if !ask[bool](t, tab, `document.documentElement.scrollWidth <= 400`) {
		t.Error("400 pixels are not enough")
	}
}

func TestTenThousandVectorsStayFluid(t *testing.T) {
	socket := startDaemon(t, "[soft.big]\nvectors = 10000\n").socket
	tab, address := open(t, live(t, socket))
	do(t, tab, "load", chromedp.Navigate(address))
	until(t, tab, "all vectors", `document.querySelector('#shown').textContent.startsWith('100')`)
	frame := ask[float64](t, tab, `new Promise(done => {
	  const f = document.getElementById('filter'), times = [];
	  let n = 0;
	  const step = () => {
	    const start = performance.now();
	    f.value = 'soft:big/' + (n % 10);
	    f.dispatchEvent(new Event('input'));
	    requestAnimationFrame(() => setTimeout(() => { times.push(performance.now() - start); if (++n < 20) step(); else done(times.sort((a, b) => a - b)[10]); }));
	  };
	  step();
	})`)
	t.Logf("10,000 vectors: filtering and drawing took %.0f ms in the middle", frame)
	if rows := ask[int](t, tab, `document.querySelectorAll('#rows tr[data-name]').length`); rows > 200 {
		t.Errorf("%d rows are in the document: only what is seen should be", rows)
	}
}
