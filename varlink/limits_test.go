//go:build linux

package varlink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sharedLog collects log lines from several goroutines.
type sharedLog struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *sharedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(line)
}

func (l *sharedLog) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.all.String(), text)
}

func TestSessionsPerUser(t *testing.T) {
	var log sharedLog
	b := serve(t, func(s *Server) {
		s.Limits.SessionsPerUser = 2
		s.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	first, second := dial(t, b.address), dial(t, b.address)
	echoes(t, first)
	echoes(t, second)
	for range 3 {
		c := dial(t, b.address)
		err := c.Call(bounded(t), "org.example.test.Note", nil, nil)
		var e *Error
		var why struct{ Limit, UID int }
		if !errors.As(err, &e) || e.Name != ErrorTooManySessions || e.Decode(&why) != nil || why.Limit != 2 || why.UID != unix.Geteuid() {
			t.Errorf("the third session: %v", err)
		}
	}
	echoes(t, first)
	first.Close()
	eventually(t, "the first session's end", func() bool { return b.Stats().Sessions == 1 })
	echoes(t, dial(t, b.address))
	if n := log.count("too many sessions"); n != 1 {
		t.Errorf("the log has it %d times", n)
	}
	if s := b.Stats(); s.Refused != 3 || s.Accepted != 3 || s.Sessions != 2 {
		t.Errorf("counts: %+v", s)
	}
}

func TestSessionsInTotal(t *testing.T) {
	b := serve(t, func(s *Server) { s.Limits.Sessions = 1 })
	echoes(t, dial(t, b.address))
	if told := dialRaw(t, b.address).untilEOF(); !strings.Contains(told, `{"limit":1}`) {
		t.Errorf("the second was told %q", told)
	}
}

// More are refused at once than are held: each is told, and Shutdown lets go of all.
func TestRefusedPeersAreHeld(t *testing.T) {
	b := serve(t, func(s *Server) { s.Limits.SessionsPerUser = 1 })
	echoes(t, dial(t, b.address))
	var all []rawPeer
	for range mostHeld + mostRefusals {
		all = append(all, dialRaw(t, b.address))
	}
	eventually(t, "all are refused", func() bool { return b.Stats().Refused == mostHeld+mostRefusals })
	if err := b.Shutdown(bounded(t)); err != nil {
		t.Fatal(err)
	}
	for n, p := range all {
		if told := p.untilEOF(); !strings.Contains(told, `{"limit":1,`) {
			t.Fatalf("peer %d was told %q", n, told)
		}
	}
}

func TestAdmit(t *testing.T) {
	refuse := make(chan error, 2)
	b := serve(t, func(s *Server) {
		s.Admit = func(p *Peer) error {
			if p.PID != unix.Getpid() {
				t.Errorf("the peer is %+v", p.Credentials)
			}
			return <-refuse
		}
	})
	refuse <- errors.New("not you")
	if err := dial(t, b.address).Call(bounded(t), "org.example.test.Note", nil, nil); !errors.Is(err, &Error{Name: ErrorPermissionDenied}) {
		t.Errorf("who was refused got %v", err)
	}
	refuse <- fmt.Errorf("wrapped: %w", &Error{Name: "org.example.test.Refused"})
	if err := dial(t, b.address).Call(bounded(t), "org.example.test.Note", nil, nil); !errors.Is(err, &Error{Name: "org.example.test.Refused"}) {
		t.Errorf("who was refused by name got %v", err)
	}
	refuse <- nil
	echoes(t, dial(t, b.address))
}

// Without free descriptors nobody new is served, those who are stay so, the log says it once, and
// afterwards the waiting are served.
func TestDescriptorsRunOut(t *testing.T) {
	var log sharedLog
	b := serve(t, func(s *Server) { s.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	old := dial(t, b.address)
	echoes(t, old)
	restore := fileLimit(t, 1)
	defer restore()
	waiting := dial(t, b.address) // takes the last number
	eventually(t, "the log", func() bool { return log.count("cannot accept") > 0 })
	echoes(t, old)
	restore()
	echoes(t, waiting)
	if n := log.count("cannot accept"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	if n := log.count("accepts sessions again"); n != 1 {
		t.Errorf("the log says %d times that it is over", n)
	}
}

// While a few flood with calls, another one's are answered.
func TestFloodHarmsNobodyElse(t *testing.T) {
	b := serve(t, nil)
	bystander := dial(t, b.address)
	stop := make(chan struct{})
	var flooding sync.WaitGroup
	defer flooding.Wait()
	defer close(stop)
	for range 4 {
		p := dialRaw(t, b.address)
		calls := []byte(strings.Repeat(request1("Echo", `{"text":"x"}`), 100))
		flooding.Go(func() {
			for {
				select {
				case <-stop:
					p.Close()
					return
				default:
					if _, err := p.Write(calls); err != nil {
						return
					}
				}
			}
		})
		flooding.Go(func() { readUntilClosed(p) })
	}
	eventually(t, "the flood", func() bool { return b.Stats().Calls > 1000 })
	for range 50 {
		echoes(t, bystander)
	}
}

func readUntilClosed(p rawPeer) {
	buf := make([]byte, 1<<16)
	for {
		if _, err := p.Read(buf); err != nil {
			return
		}
	}
}

func TestManySessions(t *testing.T) {
	n := 1500
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if most := int(limit.Cur)/2 - 100; most < n {
		t.Logf("RLIMIT_NOFILE leaves room for %d sessions, try: ulimit -n 4096", most)
		n = most
	}
	b := serve(t, func(s *Server) { s.Limits.SessionsPerUser = -1 })
	conns := make([]*Conn, n)
	for i := range conns {
		conns[i] = dial(t, b.address)
		echoes(t, conns[i])
	}
	if s := b.Stats(); s.Sessions != n {
		t.Errorf("%d sessions are open, want %d", s.Sessions, n)
	}
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "the end of all sessions", func() bool { return b.Stats().Sessions == 0 })
}

// A full backlog answers EAGAIN; Dial waits for its turn.
func TestDialWaitsForTheBacklog(t *testing.T) {
	address := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: address}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	var waiting net.Conn
	if waiting, err = net.Dial("unix", address); err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if conn, err := net.Dial("unix", address); !errors.Is(err, unix.EAGAIN) {
		if err == nil {
			conn.Close()
		}
		t.Fatalf("the backlog is not full: %v", err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, address); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial with a deadline: %v", err)
	}
	dialled := make(chan error, 1)
	go func() {
		c, err := Dial(bounded(t), address)
		if err == nil {
			c.Close()
		}
		dialled <- err
	}()
	for range 2 {
		accepted, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(accepted)
	}
	if err := <-dialled; err != nil {
		t.Errorf("Dial after room was made: %v", err)
	}
}
