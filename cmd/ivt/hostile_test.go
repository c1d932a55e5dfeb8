//go:build linux

package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ivtd/ivt"
)

// harmless reports the first character that a terminal might act on.
func harmless(text string) (bad rune, ok bool) {
	for _, r := range text {
		if r != '\n' && (r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return r, false
		}
	}
	return 0, true
}

// TestHostileLabelsAreHarmless: whatever a driver calls itself, no view passes on what a terminal or browser would act on.
func TestHostileLabelsAreHarmless(t *testing.T) {
	b := newWorkbench(t)
	hostile := []string{"\x1b[2J\x1b]0;gone\x07", "\u202egnp.exe\u2066", "</script><img src=x onerror=alert(1)>", "line\nsoft:demo/9 free", "\x00\x7f\u009b31m",
		strings.Repeat("very long ", 30)}
	client, err := ivt.NewClient(ivt.Socket(b.dir + "/s"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	taken := 0
	for i, label := range hostile {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		c, err := client.Connect(ctx, "soft:demo/"+string(rune('0'+i)), ivt.Label(label))
		cancel()
		if err == nil { // ivtd may refuse a label
			taken++
			defer c.Disconnect(context.Background())
		} else if bad, ok := harmless(err.Error()); !ok {
			t.Errorf("the refusal of a label has %q", bad)
		}
		b.ivt("connect", "soft:demo/"+string(rune('0'+i)), "--", "true") // refused, for history
	}
	if taken == 0 {
		t.Fatal("no label was taken")
	}
	for _, args := range [][]string{{}, {"list"}, {"list", "--json"}, {"who", "soft:demo/0"}, {"show", "soft:demo/0"}, {"show", "soft:demo/1"}, {"history"}, {"history", "--json"},
		{"top", "--once", "--interval", "100ms"}, {"top", "--json", "--interval", "100ms"}, {"metrics"}, {"connect", "soft:demo/0", "--", "true"}, {"connect", "soft:demo/1", "--json", "--", "true"},
		{"who", hostile[0]}, {"who", hostile[1]}, {"list", hostile[0]}, {"explain", hostile[1]}} {
		out, errs, _ := b.ivt(args...)
		if bad, ok := harmless(out + errs); !ok {
			t.Errorf("ivt %q passes on %q:\n%q", args, bad, out+errs)
		}
	}
	watch := b.command("watch", "--since", "1")
	out, err := watch.StdoutPipe()
	if err == nil {
		err = watch.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { watch.Process.Kill(); watch.Wait() }()
	defer time.AfterFunc(30*time.Second, func() { watch.Process.Kill() }).Stop()
	text, buffer := "", make([]byte, 64<<10)
	for strings.Count(text, "\n") < 2*taken { // a connect and a refusal of each
		n, err := out.Read(buffer)
		if err != nil {
			t.Fatalf("%v after %q", err, text)
		}
		text += string(buffer[:n])
	}
	if bad, ok := harmless(text); !ok {
		t.Errorf("ivt watch passes on %q:\n%q", bad, text)
	}
}

// TestForeignHostAndMissingTokenAreRefused by the page that ivt page serves, and a port in use is said.
func TestForeignHostAndMissingTokenAreRefused(t *testing.T) {
	b := newWorkbench(t)
	address, stop := b.startPage()
	defer stop()
	port := strings.Split(strings.TrimPrefix(address, "http://127.0.0.1:"), "/")[0]
	for _, c := range []struct {
		url, host string
		status    int
	}{
		{address, "", http.StatusOK}, {address, "evil.example.org", http.StatusMisdirectedRequest}, {"http://127.0.0.1:" + port + "/", "", http.StatusForbidden},
		{"http://127.0.0.1:" + port + "/wrong/api/stream", "", http.StatusForbidden},
	} {
		q, err := http.NewRequest("GET", c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = c.host
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if r.StatusCode != c.status {
			t.Errorf("%s for host %q: %s, want %d", c.url, c.host, r.Status, c.status)
		}
	}
	if _, errs, status := b.ivt("page", "--port", port); status != 2 || !strings.Contains(errs, "in use") {
		t.Errorf("a port in use: status %d, %s", status, errs)
	}
}
