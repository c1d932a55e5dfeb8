//go:build linux

package ivt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

var roles = map[string]func() error{"executor": executor, "heir": heir}

func TestNoDaemon(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "s")
	_, err := ivt.Connect(t.Context(), "soft:demo/1", ivt.Socket(missing))
	if !errors.Is(err, ivt.ErrNoDaemon) || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "start one") {
		t.Errorf("got %v", err)
	}
	if _, err := ivt.Dial(t.Context(), ivt.Socket(missing)); !errors.Is(err, ivt.ErrNoDaemon) {
		t.Errorf("got %v", err)
	}
}

// TestWhereIvtdIs: an option goes before IVT_SOCKET, that before the user's, that before the system's.
func TestWhereIvtdIs(t *testing.T) {
	runtime := t.TempDir()
	for _, c := range []struct {
		what            string
		options         []ivt.Option
		socket, runtime string
		want            string
	}{
		{"told", []ivt.Option{ivt.Socket("/a/s")}, "/b/s", runtime, "/a/s"},
		{"environment", nil, "/b/s", runtime, "/b/s"},
		{"nothing there", nil, "", runtime, "/run/ivtd/ivtd.sock"},
		{"no run folder", nil, "", "", "/run/ivtd/ivtd.sock"},
		{"the user's", []ivt.Option{ivt.User()}, "/b/s", runtime, runtime + "/ivtd.sock"},
		{"the system's", []ivt.Option{ivt.System()}, "/b/s", runtime, "/run/ivtd/ivtd.sock"},
		{"both", []ivt.Option{ivt.System(), ivt.User()}, "", runtime, ""},
		{"the user's, without a folder", []ivt.Option{ivt.User()}, "", "", ""},
	} {
		t.Setenv("IVT_SOCKET", c.socket)
		t.Setenv("XDG_RUNTIME_DIR", c.runtime)
		client, err := ivt.NewClient(c.options...)
		if c.want == "" {
			if !errors.Is(err, irq.ErrInvalidParameter) {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		if err != nil || client.Socket() != c.want {
			t.Errorf("%s: %v, %v", c.what, client, err)
		}
	}
	if err := os.WriteFile(runtime+"/ivtd.sock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("IVT_SOCKET", "")
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	if client, err := ivt.NewClient(); err != nil || client.Socket() != runtime+"/ivtd.sock" {
		t.Errorf("the user's, since it is there: %v, %v", client, err)
	}
}

// TestDeadlineSaysWhoIsInTheWay: ivtd answers at the context's deadline.
func TestDeadlineSaysWhoIsInTheWay(t *testing.T) {
	d := serve(t)
	d.connect(t, "soft:demo/1")
	for limit := 20 * time.Millisecond; ; limit *= 4 { // on a busy machine it may pass before ivtd was asked
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		_, err := d.client.Connect(ctx, "soft:demo/1", ivt.Wait())
		cancel()
		var e *irq.Error
		if !errors.As(err, &e) || e.Code != irq.ErrTimeout || len(e.Conflicts) != 1 && limit > time.Minute {
			t.Fatalf("got %+v", err)
		}
		if len(e.Conflicts) == 1 {
			return
		}
	}
}

// TestClientSurvivesRestart: after ivtd was restarted the same client talks to the new one.
func TestClientSurvivesRestart(t *testing.T) {
	first, err := start()
	if err != nil {
		t.Fatal(err)
	}
	client, err := ivt.Dial(t.Context(), ivt.Socket(first.socket))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	before, err := client.Status(t.Context())
	if err != nil || before.PID != os.Getpid() || before.Version != "" {
		t.Errorf("%+v, %v", before, err)
	}
	first.stop()
	if _, err := client.Status(t.Context()); !errors.Is(err, ivt.ErrNoDaemon) {
		t.Errorf("while there is none: %v", err)
	}
	second, err := start()
	if err != nil {
		t.Fatal(err)
	}
	defer second.stop()
	if err := os.MkdirAll(filepath.Dir(first.socket), 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(filepath.Dir(first.socket))
	if err := os.Symlink(second.socket, first.socket); err != nil {
		t.Fatal(err)
	}
	after, err := client.Status(t.Context())
	if err != nil || after.Instance == before.Instance {
		t.Errorf("%+v, %v", after, err)
	}
}

func TestListWatchHistory(t *testing.T) {
	d := serve(t)
	c := d.connect(t, "soft:demo/5", ivt.Label("five"))
	n := 0
	for i, err := range d.client.List(t.Context(), "soft:many", false) {
		if err != nil {
			t.Fatal(err)
		}
		if i.Vector.Index != n || i.State != irq.StateFree {
			t.Errorf("%d: %+v", n, i)
		}
		n++
	}
	if n != 1000 {
		t.Errorf("%d vectors listed", n)
	}
	var held []irq.Info
	for i, err := range d.client.List(t.Context(), "", true) {
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, i)
	}
	if len(held) != 1 || held[0].Vector.Index != 5 || held[0].Holders[0].Label != "five" {
		t.Errorf("held: %+v", held)
	}
	for _, err := range d.client.List(t.Context(), "soft:none", false) {
		if !errors.Is(err, irq.ErrNoSuchDevice) {
			t.Errorf("got %v", err)
		}
	}
	var last uint64
	var seen []string
	for u, err := range d.client.Watch(t.Context(), "soft:demo", 0) {
		switch {
		case err != nil:
			t.Fatal(err)
		case u.Ready:
			last = u.Sequence
			if err := c.Disconnect(t.Context()); err != nil {
				t.Fatal(err)
			}
		case u.Event != nil:
			seen = append(seen, string(u.Event.Kind))
		default:
			seen = append(seen, fmt.Sprint("snapshot of ", len(u.Snapshot), " ", u.Snapshot[0].Vector))
		}
		if len(seen) == 2 {
			break
		}
	}
	if got := strings.Join(seen, ", "); got != "snapshot of 1 soft:demo/5, disconnected" {
		t.Errorf("watched: %s", got)
	}
	for u, err := range d.client.Watch(t.Context(), "", last) { // goes on where it was
		if err != nil {
			t.Fatal(err)
		}
		if u.Event != nil {
			if u.Event.Sequence != last+1 || u.Event.Kind != irq.EventDisconnected {
				t.Errorf("after %d: %+v", last, u.Event)
			}
			break
		}
	}
	var kinds []irq.EventKind
	for e, err := range d.client.History(t.Context(), "soft:demo/5", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if !e.Vector.IsZero() {
			kinds = append(kinds, e.Kind)
		}
	}
	if fmt.Sprint(kinds) != "[connected disconnected]" {
		t.Errorf("history: %v", kinds)
	}
}

func TestMaskHoldsBack(t *testing.T) {
	d := serve(t)
	c := d.connect(t, "soft:demo/1")
	v := c.Vectors()[0]
	if err := c.Mask(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	d.raise(t, "soft:demo/1", 3)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if i, err := c.Wait(short); !errors.Is(err, irq.ErrTimeout) {
		t.Errorf("%+v, %v", i, err)
	}
	if err := c.Unmask(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if i, err := c.Wait(patience(t)); err != nil || i.Count != 3 {
		t.Errorf("%+v, %v", i, err)
	}
}

// executor connects and becomes the program heir, with the same pid.
func executor() error {
	c, err := ivt.ConnectAll(context.Background(), []string{"soft:demo/1", "soft:demo/2"})
	if err != nil {
		return err
	}
	return c.Exec([]string{"/proc/self/exe"}, append(os.Environ(), "IVT_TEST_ROLE=heir"))
}

// heir uses what it was handed.
func heir() error {
	c, err := ivt.Inherited()
	if err != nil || c == nil {
		return fmt.Errorf("inherited %v, %w", c, err)
	}
	fmt.Println("ready", os.Getpid(), c.Vectors(), os.Getenv("LISTEN_FDS"))
	i, err := c.Wait(context.Background())
	if err != nil {
		return err
	}
	fmt.Println("woken by", i.Vector, i.Count)
	return c.Disconnect(context.Background())
}

// TestExec: another program, in any language, is handed the connection as socket activation hands sockets, and is
// its holder: the pid is the same.
func TestExec(t *testing.T) {
	d := serve(t)
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "IVT_TEST_ROLE=executor", "IVT_SOCKET="+d.socket)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 200)
	n, err := out.Read(first)
	if want := fmt.Sprintf("ready %d [soft:demo/1 soft:demo/2] \n", c.Process.Pid); err != nil || string(first[:n]) != want {
		t.Errorf("got %q, %v, want %q", first[:n], err, want)
	}
	if i, err := d.client.Lookup(t.Context(), "soft:demo/2"); err != nil || len(i.Holders) != 1 || i.Holders[0].PID != c.Process.Pid {
		t.Errorf("%+v, %v", i, err)
	}
	d.raise(t, "soft:demo/2", 4)
	rest, err := io.ReadAll(out)
	if err != nil || string(rest) != "woken by soft:demo/2 4\n" {
		t.Errorf("got %q, %v", rest, err)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

// TestHandedToAnyProgram: the descriptors and the environment are those of socket activation.
func TestHandedToAnyProgram(t *testing.T) {
	d := serve(t)
	c := d.connect(t, "soft:demo/1")
	files, environ, err := c.Handover()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		defer f.Close()
	}
	want := []string{fmt.Sprint("LISTEN_PID=", os.Getpid()), "LISTEN_FDS=2", "LISTEN_FDNAMES=stream0:lifeline", "IVT_VECTORS=soft:demo/1",
		"IVT_CONNECTION=" + c.ID(), "IVT_GENERATION=1", "IVT_SOCKET=" + d.socket}
	if fmt.Sprint(environ) != fmt.Sprint(want) || len(files) != 2 {
		t.Errorf("got %v", environ)
	}
	d.raise(t, "soft:demo/1", 1)
	record := make([]byte, 100)
	if n, err := files[0].Read(record); n != 56 || err != nil { // blocking, for programs that simply read
		t.Errorf("%d bytes, %v", n, err)
	}
}
