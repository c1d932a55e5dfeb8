//go:build linux

package ivt_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/daemon"
	"github.com/ivtd/ivt/internal/daemon/policy"
)

// The tests talk to a real ivtd, in this process, over a real socket.

func TestMain(m *testing.M) {
	if role := os.Getenv("IVT_TEST_ROLE"); role != "" {
		if err := roles[role](); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// A served is an ivtd.
type served struct {
	*daemon.Server
	socket string
	client *ivt.Client
	stop   func()
}

// start makes an ivtd with soft:demo, soft:level, soft:many and wired:demo.
func start() (*served, error) {
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		return nil, err
	}
	p := policy.Default(os.Geteuid())
	p.Softs = append(p.Softs, policy.Soft{Name: "soft:level", Settings: map[string]any{"vectors": 2, "trigger": "level", "shareable": true}},
		policy.Soft{Name: "soft:many", Settings: map[string]any{"vectors": 1000}})
	allowWired(p)
	s, err := daemon.New(daemon.Config{Policy: p, Owner: os.Geteuid()})
	if err != nil {
		return nil, err
	}
	v := &served{Server: s, socket: filepath.Join(dir, "s")}
	lock, err := daemon.AcquireLock(v.socket)
	if err != nil {
		return nil, err
	}
	l, err := lock.Listen(v.socket, 0o600)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	v.client, err = ivt.NewClient(ivt.Socket(v.socket))
	v.stop = func() {
		v.client.Close()
		s.Close(context.Background())
		<-done
		lock.Close()
		os.RemoveAll(dir)
	}
	return v, err
}

func serve(t testing.TB) *served {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func (s *served) connect(t testing.TB, vector string, options ...ivt.Option) *ivt.Connection {
	t.Helper()
	c, err := s.client.Connect(context.Background(), vector, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Disconnect(context.Background()) })
	return c
}

func (s *served) raise(t testing.TB, vector string, n uint64) {
	t.Helper()
	if err := s.client.Raise(context.Background(), vector, n); err != nil {
		t.Fatal(err)
	}
}
