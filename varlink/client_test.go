//go:build linux

package varlink

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// impostor serves one connection with whatever a test makes of it.
func impostor(t *testing.T, serve func(p rawPeer)) *Conn {
	t.Helper()
	address := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(within))
		p := rawPeer{t, conn.(*net.UnixConn)}
		buf := make([]byte, 1<<16)
		if _, err := p.Read(buf); err != nil {
			return
		}
		serve(p)
	}()
	return dial(t, address)
}

// Whatever a server does, the client gets an error that says so, keeps no descriptor, and does not
// wait for ever.
func TestClientAgainstBadServers(t *testing.T) {
	tests := []struct {
		name  string
		serve func(p rawPeer)
		want  error  // is in the error's tree
		says  string // or what it says
	}{
		{"dies before it answers", func(p rawPeer) {}, io.ErrUnexpectedEOF, ""},
		{"dies within its answer", func(p rawPeer) { p.send(`{"parameters":{`, eventfds(t, 1)...) }, io.ErrUnexpectedEOF, ""},
		{"answers with garbage", func(p rawPeer) { p.send("garbage\x00", eventfds(t, 1)...) }, nil, "malformed reply: byte 0"},
		{"answers with nothing", func(p rawPeer) { p.send("\x00") }, nil, "malformed reply"},
		{"answers with a list", func(p rawPeer) { p.send("[]\x00") }, nil, "malformed reply"},
		{"answers deeply", func(p rawPeer) { p.send(`{"parameters":{"a":` + strings.Repeat("[", 100) + "\x00") }, nil, "nested more than 32"},
		{"answers without an end", func(p rawPeer) { _, _ = io.Copy(p, endless{}) }, ErrMessageTooLong, ""},
		{"has more to say", func(p rawPeer) { p.send(`{"parameters":{},"continues":true}`+"\x00", eventfds(t, 2)...) }, nil, "more than one reply"},
		{"has another type", func(p rawPeer) { p.send(`{"parameters":{"text":5}}` + "\x00") }, nil, "unexpected reply"},
		{"refuses with descriptors", func(p rawPeer) { p.send(`{"error":"a.b.C"}`+"\x00", eventfds(t, 2)...) }, &Error{Name: "a.b.C"}, ""},
		{"refuses in an odd way", func(p rawPeer) { p.send(`{"error":"a\u001b[2J","parameters":{"x":"\u001b"}}` + "\x00") }, nil, `a\x1b[2J {"x":"\u001b"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := impostor(t, test.serve)
			var out struct{ Text string }
			fds, err := c.CallDescriptors(bounded(t), "a.b.M", nil, &out)
			if err == nil || fds.Len() != 0 {
				t.Fatalf("error %v, %d descriptors", err, fds.Len())
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("error is %v, want ...%s", err, test.says)
			}
		})
	}
}

type endless struct{}

func (endless) Read(buf []byte) (int, error) {
	for i := range buf {
		buf[i] = ' '
	}
	return len(buf), nil
}

func TestServerThatNeverAnswers(t *testing.T) {
	released := make(chan struct{})
	c := impostor(t, func(p rawPeer) {
		if _, err := io.Copy(io.Discard, p.UnixConn); err == nil {
			close(released) // the client hung up
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := c.Call(ctx, "a.b.M", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the call: %v", err)
	}
	<-released
	if err := c.Call(bounded(t), "a.b.M", nil, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a call after that: %v", err)
	}
}

// A server that neither reads nor answers.
func TestServerThatNeverReads(t *testing.T) {
	stop := make(chan struct{})
	c := impostor(t, func(p rawPeer) { <-stop })
	defer close(stop)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := c.Call(ctx, "a.b.M", map[string]string{"a": strings.Repeat("x", 4<<20)}, nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the call: %v", err)
	}
}

func TestCallsWaitTheirTurn(t *testing.T) {
	b := serve(t, nil)
	c := dial(t, b.address)
	waited := make(chan error)
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { waited <- c.Call(ctx, "org.example.test.Wait", nil, nil) }()
	<-b.waiting
	short, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	if err := c.Call(short, "org.example.test.Note", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call whose turn did not come: %v", err)
	}
	why := errors.New("enough")
	cancel(why)
	if err := <-waited; !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("the cancelled call: %v", err)
	}
	if err := <-b.ended; !errors.Is(err, ErrHungUp) {
		t.Errorf("the handler saw %v", err)
	}
}

func TestConcurrentCalls(t *testing.T) {
	c := dial(t, serve(t, nil).address)
	var calls sync.WaitGroup
	for i := range 8 {
		calls.Go(func() {
			for j := range 20 {
				text := strconv.Itoa(i*100 + j)
				var out struct{ Text string }
				err := c.Call(bounded(t), "org.example.test.Echo", map[string]string{"text": text}, &out)
				if err != nil || out.Text != text {
					t.Errorf("Echo(%s) = %s, %v", text, out.Text, err)
				}
			}
		})
	}
	calls.Wait()
}

func TestStreamLeftEarly(t *testing.T) {
	b := serve(t, nil)
	c := dial(t, b.address)
	s, err := c.More(bounded(t), "org.example.test.Count", map[string]int{"to": 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	for range Replies[struct{ N int }](s) {
		break
	}
	if err := s.Next(nil); err == nil {
		t.Error("a closed stream goes on")
	}
	eventually(t, "the session's end", func() bool { return b.Stats().Sessions == 0 })
}

func TestStreamEndsInAnError(t *testing.T) {
	c := impostor(t, func(p rawPeer) {
		p.send(`{"parameters":{"n":1},"continues":true}`+"\x00", eventfds(t, 1)...) // which nobody asked for
		p.send(`{"error":"a.b.C"}` + "\x00")
	})
	s, err := c.More(bounded(t), "a.b.M", nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []error
	for _, err := range Replies[json.RawMessage](s) {
		got = append(got, err)
	}
	if len(got) != 2 || got[0] != nil || !errors.Is(got[1], &Error{Name: "a.b.C"}) {
		t.Errorf("the stream gave %v", got)
	}
}

func TestStreamCancelled(t *testing.T) {
	b := serve(t, nil)
	c := dial(t, b.address)
	ctx, cancel := context.WithCancel(context.Background())
	s, err := c.More(ctx, "org.example.test.Wait", nil)
	if err != nil {
		t.Fatal(err)
	}
	<-b.waiting
	cancel()
	if err := s.Next(nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Next: %v", err)
	}
	<-b.ended
}

// Indexes come from the server, and are not believed.
func TestDescriptorIndexes(t *testing.T) {
	c := dial(t, serve(t, nil).address)
	fds, err := c.CallDescriptors(bounded(t), "org.example.test.Open", map[string]int{"n": 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []int{-1, 2, 1 << 40} {
		if _, err := fds.Take(index); err == nil {
			t.Errorf("descriptor %d of 2 was there", index)
		}
	}
	file, err := fds.File(1, "second")
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	if _, err := fds.Take(1); err == nil {
		t.Error("a descriptor was there twice")
	}
	fds.Close()
	if _, err := fds.Take(0); err == nil {
		t.Error("a closed descriptor was there")
	}
	fds.Close()
}

// A client at its own RLIMIT_NOFILE learns that descriptors were lost.
func TestClientLosesDescriptors(t *testing.T) {
	fds := eventfds(t, 20)
	c := impostor(t, func(p rawPeer) { p.send("{\"parameters\":{}}\x00", fds...) })
	restore := fileLimit(t, 3)
	got, err := c.CallDescriptors(bounded(t), "a.b.M", nil, nil)
	restore()
	if !errors.Is(err, ErrDescriptorsLost) || got.Len() != 0 {
		t.Errorf("%d descriptors, %v", got.Len(), err)
	}
}

func TestCallDoesNotKeepDescriptors(t *testing.T) {
	c := dial(t, serve(t, nil).address)
	echoes(t, c)
	before := len(descriptors())
	for range 10 {
		if err := c.Call(bounded(t), "org.example.test.Open", map[string]int{"n": 5}, nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the server's close", func() bool { return len(descriptors()) <= before })
}

func TestParametersMustBeAnObject(t *testing.T) {
	c := dial(t, serve(t, nil).address)
	for _, in := range []any{5, []string{"x"}, "x", func() {}, json.RawMessage("{")} {
		if err := c.Call(bounded(t), "org.example.test.Note", in, nil); err == nil || !strings.Contains(err.Error(), "parameters") {
			t.Errorf("%T: %v", in, err)
		}
	}
	if err := c.Call(bounded(t), "org.example.test.Note", (*struct{})(nil), nil); err != nil {
		t.Errorf("a nil pointer: %v", err)
	}
	echoes(t, c)
}

func TestDialErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for address, want := range map[string]error{
		"unix:" + missing: os.ErrNotExist, missing + ";mode=0666": os.ErrNotExist, "@no/such/name": unix.ECONNREFUSED,
	} {
		if _, err := Dial(bounded(t), address); !errors.Is(err, want) {
			t.Errorf("Dial(%q): %v, want %v", address, err, want)
		}
	}
	for _, address := range []string{"", "unix:", "tcp:localhost:1", "exec:/bin/true"} {
		if _, err := Dial(bounded(t), address); err == nil || !strings.Contains(err.Error(), "not a socket's path") {
			t.Errorf("Dial(%q): %v", address, err)
		}
	}
}
