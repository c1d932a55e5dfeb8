//go:build linux

package varlink

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Who sends garbage is told what was wrong and loses its session; nobody else notices.
func TestGarbageEndsTheSession(t *testing.T) {
	b := serve(t, func(s *Server) { s.Limits = Limits{MessageSize: 10000, MessageTime: 10 * time.Millisecond} })
	bystander := dial(t, b.address)
	tests := []struct{ name, sent, told string }{
		{"only a NUL", "\x00", "the message is empty"},
		{"no JSON", "GET / HTTP/1.1\r\n\r\n\x00", "byte 0"},
		{"not an object", "[]\x00", "expected '{'"},
		{"not UTF-8", "{\"method\":\"\xff\xfe\"}\x00", "byte 11: not UTF-8"},
		{"not UTF-8 as a name", "{\"\xc3\x28\":1}\x00", "not UTF-8"},
		{"deep", `{"method":"org.example.test.Echo","parameters":{"text":` + strings.Repeat(`[`, 5000) + "\x00", "nested more than 32"},
		{"deep objects", `{"method":"a.b.C","parameters":` + strings.Repeat(`{"a":`, 1900) + "\x00", "nested more than 32"},
		{"giant", `{"method":"` + strings.Repeat("a", 50000) + "\"}\x00", "message too long"},
		{"without an end", `{"method":`, "did not arrive in time"},
		{"no method", "{}\x00", "a call needs a method"},
		{"method twice", `{"method":"a.b.C","method":"d.e.F"}` + "\x00", "twice"},
		{"method in another case", `{"Method":"a.b.C"}` + "\x00", "no such member"},
		{"upgrade", `{"method":"a.b.C","upgrade":true}` + "\x00", "upgrade"},
		{"more and oneway", `{"method":"a.b.C","more":true,"oneway":true}` + "\x00", "not both"},
		{"parameters that are no object", `{"method":"a.b.C","parameters":7}` + "\x00", "expected an object"},
		{"terminal escape", "{\"method\":\"\x1b[2J\"}\x00", "control character"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := dialRaw(t, b.address)
			p.send(test.sent)
			told := p.untilEOF()
			if !strings.HasPrefix(told, `{"error":"org.varlink.service.InvalidParameter"`) || !strings.Contains(told, test.told) {
				t.Errorf("it was told %q, want ...%q", told, test.told)
			}
			echoes(t, bystander)
		})
	}
}

func TestMessageWithoutItsNUL(t *testing.T) {
	p := dialRaw(t, serve(t, nil).address)
	p.send(strings.TrimSuffix(request1("Note", "{}"), "\x00"))
	p.CloseWrite()
	if told := p.untilEOF(); !strings.Contains(told, "ends with a NUL byte") {
		t.Errorf("it was told %q", told)
	}
}

func TestIdleSessionEnds(t *testing.T) {
	b := serve(t, func(s *Server) { s.Limits.IdleTime = 10 * time.Millisecond })
	if told := dialRaw(t, b.address).untilEOF(); told != "" {
		t.Errorf("it was told %q", told)
	}
	// A call under way is not idle.
	p := dialRaw(t, b.address)
	p.send(request1("Hold", "{}"))
	<-b.waiting
	dialRaw(t, b.address).untilEOF() // that long
	b.release <- struct{}{}
	if told := p.untilEOF(); told != "{\"parameters\":{}}\x00" {
		t.Errorf("the answer is %q", told)
	}
}

// A client that does not read fills its own socket, and then ends.
func TestClientThatNeverReads(t *testing.T) {
	b := serve(t, func(s *Server) { s.Limits.WriteTime = 20 * time.Millisecond })
	bystander := dial(t, b.address)
	p := dialRaw(t, b.address)
	calls := strings.Repeat(request1("Echo", `{"text":"`+strings.Repeat("x", 1000)+`"}`), 50)
	for {
		if _, err := p.Write([]byte(calls)); err != nil {
			if !gone(err) {
				t.Errorf("the session did not end: %v", err)
			}
			break
		}
	}
	echoes(t, bystander)
	eventually(t, "the session's end", func() bool { return b.Stats().Sessions == 1 })
}

// However many calls a client pipelines, one reply with descriptors waits for it to read, no more.
func TestOneUnreadReplyWithDescriptors(t *testing.T) {
	b := serve(t, func(s *Server) { s.Limits.WriteTime = 20 * time.Millisecond })
	p := dialRaw(t, b.address)
	p.send(strings.Repeat(request1("Open", `{"n":3}`), 10))
	eventually(t, "the session's end", func() bool {
		s := b.Stats()
		return s.Accepted == 1 && s.Sessions == 0
	})
	frames, fds := p.receive()
	discardAll(fds)
	if len(frames) != 1 || len(fds) != 3 {
		t.Errorf("%q with %d descriptors were unread", frames, len(fds))
	}
	if rest := p.untilEOF(); rest != "" {
		t.Errorf("behind it stood %q", rest)
	}
}

// A reader that takes whatever one recvmsg gives finds each reply's descriptors with it, also when it
// pipelines: the hazard is not provoked.
func TestHazardIsNotProvoked(t *testing.T) {
	p := dialRaw(t, serve(t, nil).address)
	const rounds = 20
	for range rounds {
		p.send(request1("Echo", `{"text":"x"}`) + request1("Open", `{"n":2}`) + request1("Echo", `{"text":"y"}`))
	}
	replies := 0
	for replies < 3*rounds {
		frames, fds := p.receive()
		discardAll(fds)
		opened := strings.Contains(strings.Join(frames, ""), "indexes")
		if opened != (len(fds) == 2) || opened && len(frames) != 1 {
			t.Fatalf("%q came with %d descriptors", frames, len(fds))
		}
		replies += len(frames)
	}
}

func TestDescriptorsOnlyWithPlainCalls(t *testing.T) {
	b := serve(t, nil)
	p := dialRaw(t, b.address)
	for _, flag := range []string{"more", "oneway"} {
		p.send(`{"method":"org.example.test.Open","parameters":{"n":1},"` + flag + `":true}` + "\x00")
	}
	p.send(request1("Open", `{"n":1}`))
	frames, fds := p.receive()
	discardAll(fds)
	if len(fds) != 0 || !strings.Contains(frames[0], `{"parameter":"more"}`) {
		t.Errorf("with more: %q and %d descriptors", frames, len(fds))
	}
	if frames, fds = p.receive(); len(fds) != 1 || len(frames) != 1 {
		t.Errorf("the plain call after it: %q and %d descriptors", frames, len(fds))
	}
	discardAll(fds)
}

func TestReplyRefusesDescriptorsElsewhere(t *testing.T) {
	for _, c := range []*Call{{More: true}, {Oneway: true}} {
		if err := c.Reply(nil, 0); err != ErrNotPlain {
			t.Errorf("Reply with a descriptor: %v", err)
		}
	}
}

// More descriptors than a message carries is an error that the call can still be answered with.
func TestManyDescriptors(t *testing.T) {
	c := dial(t, serve(t, nil).address)
	for _, n := range []int{253, 254, 1} {
		var out struct{ Indexes []int }
		fds, err := c.CallDescriptors(bounded(t), "org.example.test.Open", map[string]int{"n": n}, &out)
		if n == 254 {
			if !errors.Is(err, &Error{Name: "org.example.test.Refused"}) {
				t.Errorf("254 descriptors: %v", err)
			}
			continue
		}
		if err != nil || fds.Len() != n {
			t.Fatalf("%d descriptors: %d came, %v", n, fds.Len(), err)
		}
		for i, index := range out.Indexes {
			fd, err := fds.Take(index)
			if err != nil || counter(t, fd) != i+1 {
				t.Errorf("descriptor %d is not the one that was sent: %v", i, err)
			}
			unix.Close(fd)
		}
	}
}

// Where no descriptors belong, the kernel refuses to send them, or an older one has them closed.
func TestUnwantedDescriptors(t *testing.T) {
	p := dialRaw(t, serve(t, nil).address)
	_, _, err := p.WriteMsgUnix([]byte(request1("Note", "{}")), rights(eventfds(t, 5)), nil)
	if errors.Is(err, unix.EPERM) {
		p.send(request1("Note", "{}"))
	} else if err != nil {
		t.Fatal(err)
	}
	if frames, _ := p.receive(); frames[0] != `{"parameters":{}}` {
		t.Errorf("the call was answered %q", frames)
	}
}

func TestDescriptorsOfCalls(t *testing.T) {
	c := dial(t, serve(t, func(s *Server) { s.Limits.Descriptors = 2 }).address)
	var out struct{ Size int }
	give := func(index int, fds ...int) error {
		_, err := c.CallDescriptors(bounded(t), "org.example.test.Give", map[string]int{"handleFileDescriptor": index}, &out, fds...)
		return err
	}
	if err := give(1, eventfds(t, 2)...); err != nil {
		t.Errorf("two descriptors, the second meant: %v", err)
	}
	for name, err := range map[string]error{
		"none": give(0), "an index too high": give(1, eventfds(t, 1)...), "a negative index": give(-1, eventfds(t, 1)...),
	} {
		if !errors.Is(err, &Error{Name: ErrorInvalidParameter}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := give(0, eventfds(t, 3)...)
	if e := new(Error); !errors.As(err, &e) || string(e.Parameters) != `{"parameter":"descriptors"}` {
		t.Errorf("one too many: %v", err)
	}
	if err := give(0, eventfds(t, 2)...); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// Closing a TCP socket that lingers blocks for as long as its sender chose; it chose an hour.
func TestLingeringSocketStallsNobody(t *testing.T) {
	b := serve(t, func(s *Server) { s.Limits = Limits{Descriptors: 10, SessionsPerUser: 3} })
	ended := func() bool { return b.Stats().Sessions == 0 }

	p := dialRaw(t, b.address)
	<-sendLingering(t, p, strings.TrimSuffix(request1("Note", "{}"), "\x00"))
	p.send("\x00")
	if frames, _ := p.receive(); frames[0] != `{"parameters":{}}` {
		t.Errorf("a call that brought one: %q", frames)
	}

	p.send(request1("Wait", "{}"))
	<-b.waiting
	<-sendLingering(t, p, request1("Note", "{}"))
	<-sendLingering(t, p, "half of a message")
	p.Close()
	<-b.ended
	eventually(t, "the end of a session that has one unread", ended)

	p = dialRaw(t, b.address)
	<-sendLingering(t, p, "garbage")
	p.send("\x00")
	p.untilEOF()
	eventually(t, "the end of a session that sent one with garbage", ended)

	for range 3 {
		echoes(t, dial(t, b.address))
	}
	for range 5 {
		p := dialRaw(t, b.address)
		sendLingering(t, p, "to a server that has no room")
		if told := p.untilEOF(); !strings.Contains(told, ErrorTooManySessions) {
			t.Errorf("it was told %q", told)
		}
	}
}

// sendLingering sends a TCP socket with unsent data, and closes its own copy, in the background since
// that may be the last one and block.
func sendLingering(t testing.TB, p rawPeer, text string) (closed chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	to := &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	reader, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = unix.SendmsgN(fd, make([]byte, 1<<16), nil, nil, unix.MSG_DONTWAIT)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600}); err != nil {
		t.Fatal(err)
	}
	_, _, err = p.WriteMsgUnix([]byte(text), rights([]int{fd}), nil)
	if err != nil && !gone(err) {
		t.Fatal(err)
	}
	closed = make(chan struct{})
	go func() { defer close(closed); unix.Close(fd) }()
	t.Cleanup(func() { reader.Close(); <-closed })
	return closed
}
