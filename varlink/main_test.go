//go:build linux

package varlink

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// TestMain fails when a test left a goroutine or a descriptor behind.
func TestMain(m *testing.M) {
	warmPoller()
	before := descriptors()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines were left:", err)
			code = 1
		}
		for fd, target := range descriptors() {
			if _, ok := before[fd]; !ok {
				fmt.Fprintf(os.Stderr, "descriptor %s was left open: %s\n", fd, target)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// warmPoller has Go open the descriptors of its poller, which stay.
func warmPoller() {
	r, w, err := os.Pipe()
	if err == nil {
		r.Close()
		w.Close()
	}
}

// descriptors are this process's open files, by number.
func descriptors() map[string]string {
	open := map[string]string{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			open[e.Name()] = target
		}
	}
	return open
}

// within is how long a test waits for what must happen.
const within = 20 * time.Second

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within %v", what, within)
		}
	}
}

// testInterface is what the tests' server serves.
const testInterface = `interface org.example.test
method Echo(text: string) -> (text: string)
method Count(to: int) -> (n: int)
method Open(n: int) -> (indexes: []int)
method Give(handleFileDescriptor: int) -> (size: int)
method Wait() -> ()
method Note() -> ()
method Hold() -> ()
method Fail(how: string) -> ()
method Missing() -> ()
error Refused (why: string)
`

// A bench is a server with the handlers of testInterface, and what they saw.
type bench struct {
	*Server
	address string
	waiting chan *Call // calls of Wait, as they begin
	ended   chan error // and why they ended
	notes   chan *Call
	release chan struct{} // lets Hold answer
}

// serve starts a server. configure may change it before.
func serve(t testing.TB, configure func(*Server)) *bench {
	t.Helper()
	b := &bench{
		Server:  &Server{CheckReplies: true, Logger: slog.New(slog.NewTextHandler(testLog{t}, nil))},
		waiting: make(chan *Call, 10000), ended: make(chan error, 10000), notes: make(chan *Call, 10000), release: make(chan struct{}),
	}
	b.Info = Info{Vendor: "Example", Product: "Test", Version: "1", URL: "https://example.org"}
	if configure != nil {
		configure(b.Server)
	}
	err := b.Register(testInterface, map[string]Handler{
		"Echo": b.echo, "Count": b.count, "Open": b.open, "Give": b.give, "Wait": b.wait, "Note": b.note, "Hold": b.hold, "Fail": b.fail,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.address = run(t, b.Server)
	return b
}

// run has a server serve a new socket until the test's end.
func run(t testing.TB, s *Server) (address string) {
	t.Helper()
	address = filepath.Join(t.TempDir(), "socket")
	l, err := Listen(bounded(t), address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-done; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return address
}

type testLog struct{ testing.TB }

func (l testLog) Write(line []byte) (int, error) {
	l.Logf("log: %s", strings.TrimSpace(string(line)))
	return len(line), nil
}

func (b *bench) echo(c *Call) error {
	var in struct{ Text string }
	if err := c.Decode(&in); err != nil {
		return err
	}
	return c.Reply(map[string]string{"text": in.Text})
}

func (b *bench) count(c *Call) error {
	var in struct{ To int }
	if err := errors.Join(c.Streaming(), c.Decode(&in)); err != nil {
		return err
	}
	for n := 1; n < in.To; n++ {
		if err := c.Continue(map[string]int{"n": n}); err != nil {
			return err
		}
	}
	return c.Reply(map[string]int{"n": in.To})
}

// open replies with copies of n eventfds that count 1, 2, 3 and so on.
func (b *bench) open(c *Call) error {
	var in struct{ N int }
	if err := errors.Join(c.Plain(), c.Decode(&in)); err != nil {
		return err
	}
	fds, indexes := make([]int, in.N), make([]int, in.N)
	for i := range fds {
		fd, err := unix.Eventfd(uint(i+1), unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		fds[i], indexes[i] = fd, i
	}
	err := c.Reply(map[string][]int{"indexes": indexes}, fds...)
	if err != nil && !c.Answered() {
		return c.Error("org.example.test.Refused", map[string]string{"why": err.Error()})
	}
	return err
}

func (b *bench) give(c *Call) error {
	var in struct{ HandleFileDescriptor int }
	if err := c.Decode(&in); err != nil {
		return err
	}
	file, err := c.Descriptors.File(in.HandleFileDescriptor, "given")
	if err != nil {
		return InvalidParameter("handleFileDescriptor")
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return c.Reply(map[string]int64{"size": info.Size()})
}

func (b *bench) wait(c *Call) error {
	b.waiting <- c
	<-c.Context().Done()
	b.ended <- context.Cause(c.Context())
	return c.Context().Err()
}

func (b *bench) note(c *Call) error {
	b.notes <- c
	return c.Reply(nil)
}

func (b *bench) hold(c *Call) error {
	b.waiting <- c
	<-b.release
	return c.Reply(nil)
}

func (b *bench) fail(c *Call) error {
	var in struct{ How string }
	if err := c.Decode(&in); err != nil {
		return err
	}
	switch in.How {
	case "panic":
		panic("as asked")
	case "silence":
		return nil
	case "wrapped":
		return fmt.Errorf("wrapped: %w", &Error{Name: "org.example.test.Refused", Parameters: json.RawMessage(`{"why":"x"}`)})
	case "reply":
		return c.Reply(map[string]int{"not": 1})
	case "giant":
		return c.Reply(map[string]string{"not": strings.Repeat("x", maxReply)})
	case "twice":
		return errors.Join(c.Reply(nil), c.Reply(nil))
	}
	return errors.New("failed")
}

// dial connects a client.
func dial(t testing.TB, address string) *Conn {
	t.Helper()
	c, err := Dial(bounded(t), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echoes checks that the server still serves.
func echoes(t testing.TB, c *Conn) {
	t.Helper()
	var out struct{ Text string }
	if err := c.Call(bounded(t), "org.example.test.Echo", map[string]string{"text": "ö\x01<"}, &out); err != nil || out.Text != "ö\x01<" {
		t.Fatalf("Echo = %q, %v", out.Text, err)
	}
}

// A rawPeer speaks to a server byte by byte.
type rawPeer struct {
	testing.TB
	*net.UnixConn
}

func dialRaw(t testing.TB, address string) rawPeer {
	t.Helper()
	conn, err := net.Dial("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(within))
	t.Cleanup(func() { conn.Close() })
	return rawPeer{t, conn.(*net.UnixConn)}
}

// send writes bytes with descriptors, in one sendmsg.
func (p rawPeer) send(text string, fds ...int) {
	p.Helper()
	if _, _, err := p.WriteMsgUnix([]byte(text), rights(fds), nil); err != nil {
		p.Fatalf("send: %v", err)
	}
}

// receive reads one recvmsg's worth, as a client does that does not peek.
func (p rawPeer) receive() (frames []string, fds []int) {
	p.Helper()
	text, control := make([]byte, 1<<16), make([]byte, controlSize)
	n, oobn, _, _, err := p.ReadMsgUnix(text, control)
	if err != nil {
		p.Fatalf("receive: %v", err)
	}
	var in incoming
	in.control(control[:oobn], 0)
	return strings.SplitAfter(strings.TrimSuffix(string(text[:n]), "\x00"), "\x00"), in.fds
}

// untilEOF reads all that comes until the server hangs up.
func (p rawPeer) untilEOF() string {
	p.Helper()
	var all strings.Builder
	if _, err := io.Copy(&all, p.UnixConn); err != nil && !gone(err) {
		p.Fatalf("the server did not hang up: %v", err)
	}
	return all.String()
}

func request1(method, parameters string) string {
	return `{"method":"org.example.test.` + method + `","parameters":` + parameters + "}\x00"
}

// counter reads an eventfd.
func counter(t testing.TB, fd int) int {
	t.Helper()
	var buf [8]byte
	if _, err := unix.Read(fd, buf[:]); err != nil {
		t.Fatalf("descriptor %d: %v", fd, err)
	}
	return int(binary.NativeEndian.Uint64(buf[:]))
}
