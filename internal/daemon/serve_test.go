package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// A served is a daemon in this process, on a socket of its own.
type testDaemon struct {
	*Server
	t      *testing.T
	socket string
	client *ivt.Client
}

// serve starts a daemon. text is its policy, "" the built-in one.
func serve(t *testing.T, text string, change ...func(*Config)) *testDaemon {
	t.Helper()
	c := Config{Owner: os.Geteuid(), Check: true, Version: "test"}
	if testing.Verbose() && !guest.Inside() { // in the VM tests are always verbose, and what is said is slow
		c.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if text != "" {
		c.Policy = loadPolicy(t, text)
	}
	for _, f := range change {
		f(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ivt") // short: the path of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	d := &testDaemon{Server: s, t: t, socket: filepath.Join(dir, "s")}
	os.Chmod(dir, 0o755) // other users come in, too
	lock, err := AcquireLock(d.socket)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.Listen(d.socket, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	if d.client, err = ivt.NewClient(ivt.Socket(d.socket)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		lock.Close()
		os.RemoveAll(dir)
	})
	return d
}

func loadPolicy(t *testing.T, text string) *policy.Policy {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ivtd.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Load(file, true, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (d *testDaemon) driver() *driverProcess {
	d.t.Helper()
	return startDriver(d.t, d.socket)
}

// connect connects from the test's own process.
func (d *testDaemon) connect(vector string, options ...ivt.Option) *ivt.Connection {
	d.t.Helper()
	c, err := d.client.Connect(d.t.Context(), vector, options...)
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// info is what the registry knows of a vector.
func (d *testDaemon) info(vector string) irq.Info {
	d.t.Helper()
	v, err := irq.ParseVector(vector)
	if err != nil {
		d.t.Fatal(err)
	}
	i, err := d.Registry().Lookup(v)
	if err != nil {
		d.t.Fatal(err)
	}
	return i
}

// becomes waits until a vector is in a state.
func (d *testDaemon) becomes(vector string, state irq.State) {
	d.t.Helper()
	eventually(d.t, vector+" "+string(state), func() bool { return d.info(vector).State == state })
}

// raise rings a vector from inside.
func (d *testDaemon) raise(vector string, count uint64) {
	d.t.Helper()
	if err := d.client.Raise(d.t.Context(), vector, count); err != nil {
		d.t.Fatal(err)
	}
}

// eventually polls a condition, for what has no event to wait for.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// refused asserts the code and returns the error.
func refused(t *testing.T, err error, code irq.Code) *irq.Error {
	t.Helper()
	var e *irq.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want %d", err, uint32(code))
	}
	return e
}

// wait returns the next interrupt.
func wait(t *testing.T, c *ivt.Connection) ivt.Interrupt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	i, err := c.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return i
}
