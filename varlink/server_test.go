//go:build linux

package varlink

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCall(t *testing.T) {
	c := dial(t, "unix:"+serve(t, nil).address)
	echoes(t, c)
	echoes(t, c)
}

func TestServiceInterface(t *testing.T) {
	b := serve(t, nil)
	c := dial(t, b.address)
	var info Info
	if err := c.Call(bounded(t), "org.varlink.service.GetInfo", nil, &info); err != nil {
		t.Fatal(err)
	}
	want := b.Info
	want.Interfaces = []string{"org.varlink.service", "org.example.test"}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Errorf("GetInfo (-want +got):\n%s", diff)
	}
	for name, text := range map[string]string{"org.varlink.service": serviceDescription, "org.example.test": testInterface} {
		var out struct{ Description string }
		err := c.Call(bounded(t), "org.varlink.service.GetInterfaceDescription", map[string]string{"interface": name}, &out)
		if err != nil || out.Description != text {
			t.Errorf("description of %s: %v\n%s", name, err, out.Description)
		}
	}
}

// Every "no" of the service has its name and says what it is about.
func TestStandardErrors(t *testing.T) {
	c := dial(t, serve(t, nil).address)
	tests := []struct {
		method     string
		parameters any
		name, says string
	}{
		{"org.example.test.Nothing", nil, ErrorMethodNotFound, `{"method":"org.example.test.Nothing"}`},
		{"org.example.other.Echo", nil, ErrorInterfaceNotFound, `{"interface":"org.example.other"}`},
		{"org.example.test.Missing", nil, ErrorMethodNotImplemented, `{"method":"org.example.test.Missing"}`},
		{"Echo", nil, ErrorInvalidParameter, `{"parameter":"method"}`},
		{"", nil, ErrorInvalidParameter, `{"parameter":"method"}`},
		{"org.example.test.", nil, ErrorInvalidParameter, `{"parameter":"method"}`},
		{"org.example.test.Echo", nil, ErrorInvalidParameter, `{"parameter":"text"}`},
		{"org.example.test.Echo", map[string]int{"text": 1}, ErrorInvalidParameter, `{"parameter":"text"}`},
		{"org.example.test.Echo", map[string]string{"text": "", "x": ""}, ErrorInvalidParameter, `{"parameter":"x"}`},
		{"org.example.test.Count", map[string]int{"to": 1}, ErrorExpectedMore, ``},
		{"org.varlink.service.GetInterfaceDescription", map[string]string{"interface": "a.b"}, ErrorInterfaceNotFound, `{"interface":"a.b"}`},
		{"org.example.test.Fail", map[string]string{"how": "wrapped"}, "org.example.test.Refused", `{"why":"x"}`},
		{"org.example.test.Fail", map[string]string{"how": "panic"}, ErrorInternal, ``},
		{"org.example.test.Fail", map[string]string{"how": "silence"}, ErrorInternal, ``},
		{"org.example.test.Fail", map[string]string{"how": "error"}, ErrorInternal, ``},
		{"org.example.test.Fail", map[string]string{"how": "reply"}, ErrorInternal, ``},
		{"org.example.test.Fail", map[string]string{"how": "giant"}, ErrorInternal, ``},
	}
	for _, test := range tests {
		err := c.Call(bounded(t), test.method, test.parameters, nil)
		var e *Error
		if !errors.As(err, &e) || e.Name != test.name || strings.Trim(string(e.Parameters), "{}") != strings.Trim(test.says, "{}") {
			t.Errorf("%s(%v): %v, want %s %s", test.method, test.parameters, err, test.name, test.says)
		}
	}
	echoes(t, c) // and the session goes on
}

func TestMore(t *testing.T) {
	c := dial(t, serve(t, nil).address)
	s, err := c.More(bounded(t), "org.example.test.Count", map[string]int{"to": 3})
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for reply, err := range Replies[struct{ N int }](s) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, reply.N)
	}
	if !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("replies %v", got)
	}
	if err := s.Next(nil); err != io.EOF {
		t.Errorf("Next after the last reply: %v", err)
	}
	echoes(t, c)
}

func TestOneway(t *testing.T) {
	b := serve(t, nil)
	c := dial(t, b.address)
	if err := c.Oneway(bounded(t), "org.example.test.Note", nil); err != nil {
		t.Fatal(err)
	}
	if call := <-b.notes; !call.Oneway {
		t.Error("the call does not know that it is oneway")
	}
	// Errors of oneway calls go nowhere, and the next reply is the next call's.
	if err := c.Oneway(bounded(t), "org.example.test.Nothing", nil); err != nil {
		t.Fatal(err)
	}
	echoes(t, c)
}

// Who sends and leaves is still served.
func TestOnewayThenClose(t *testing.T) {
	b := serve(t, nil)
	c := dial(t, b.address)
	if err := c.Oneway(bounded(t), "org.example.test.Note", nil); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-b.notes
}

func TestPipeliningIsAnsweredInOrder(t *testing.T) {
	p := dialRaw(t, serve(t, nil).address)
	p.send(request1("Echo", `{"text":"1"}`) + request1("Nothing", `{}`) + request1("Echo", `{"text":"3"}`))
	p.CloseWrite() // a peer that only stopped writing still gets its answers
	want := `{"parameters":{"text":"1"}}` + "\x00" +
		`{"error":"org.varlink.service.MethodNotFound","parameters":{"method":"org.example.test.Nothing"}}` + "\x00" +
		`{"parameters":{"text":"3"}}` + "\x00"
	if diff := cmp.Diff(want, p.untilEOF()); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
}

// A call that waits ends when its peer closes, though the session's goroutine is busy with it and a
// further call is queued behind it.
func TestHangUpEndsTheCall(t *testing.T) {
	b := serve(t, nil)
	p := dialRaw(t, b.address)
	p.send(request1("Wait", `{}`))
	call := <-b.waiting
	p.send(request1("Echo", `{"text":"behind"}`))
	if err := call.Context().Err(); err != nil {
		t.Errorf("the context ended early: %v", err)
	}
	p.Close()
	if err := <-b.ended; !errors.Is(err, ErrHungUp) {
		t.Errorf("the cause is %v", err)
	}
	eventually(t, "the session's end", func() bool { return b.Stats().Sessions == 0 })
}

// Without anybody waiting for Done the context still knows.
func TestHangUpSeenByErr(t *testing.T) {
	seen := make(chan error, 1)
	begun := make(chan *Call)
	b := &Server{}
	handler := func(c *Call) error {
		begun <- c
		for c.Context().Err() == nil {
		}
		seen <- context.Cause(c.Context())
		return nil
	}
	if err := b.Register("interface a.b\nmethod M() -> ()", map[string]Handler{"M": handler}); err != nil {
		t.Fatal(err)
	}
	p := dialRaw(t, run(t, b))
	p.send(`{"method":"a.b.M"}` + "\x00")
	call := <-begun
	if call.Context().Err() != nil {
		t.Error("the context ended early")
	}
	p.Close()
	if err := <-seen; !errors.Is(err, ErrHungUp) {
		t.Errorf("the cause is %v", err)
	}
}

// A context that outlives its call does not touch the session's socket any more.
func TestContextEndsWithTheCall(t *testing.T) {
	b := serve(t, nil)
	c := dial(t, b.address)
	if err := c.Call(bounded(t), "org.example.test.Note", nil, nil); err != nil {
		t.Fatal(err)
	}
	call := <-b.notes
	<-call.Context().Done()
	if err := call.Context().Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("Err is %v", err)
	}
	echoes(t, c)
}

func TestRegisterHoldsCodeAndDescriptionTogether(t *testing.T) {
	var s Server
	if err := s.Register("interface a.b\nmethod M() -> ()", map[string]Handler{"N": nil}); err == nil {
		t.Error("a handler that the description does not have passed")
	}
	if err := s.Register("interface a.b\nmethod M() -> ()", nil); err != nil {
		t.Error(err)
	}
	if err := s.Register("interface a.b\nmethod M() -> ()", nil); err == nil {
		t.Error("an interface passed twice")
	}
	if err := s.Register("interface a.b\nmethod", nil); err == nil {
		t.Error("a broken description passed")
	}
	if err := s.Register(serviceDescription, nil); err == nil {
		t.Error("org.varlink.service passed twice")
	}
}

func TestServeNeedsAUnixStream(t *testing.T) {
	l, err := net.Listen("unixpacket", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	if err := new(Server).Serve(l); err == nil || errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve on a SEQPACKET socket: %v", err)
	}
}

// A listener that was handed down, as socket activation does.
func TestServeInheritedListener(t *testing.T) {
	address := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	var s Server
	served := make(chan error)
	go func() { served <- s.Serve(inherited) }()
	if err := dial(t, address).Call(bounded(t), "org.varlink.service.GetInfo", nil, nil); err != nil {
		t.Error(err)
	}
	if err := s.Shutdown(bounded(t)); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := os.Stat(address); err != nil {
		t.Errorf("the socket's file belongs to who made it: %v", err)
	}
	l.Close()
}

func TestShutdownLetsCallsFinish(t *testing.T) {
	b := serve(t, nil)
	idle, busy := dial(t, b.address), dial(t, b.address)
	echoes(t, idle)
	answered := make(chan error, 1)
	go func() { answered <- busy.Call(bounded(t), "org.example.test.Hold", nil, nil) }()
	<-b.waiting
	down := make(chan error, 1)
	go func() { down <- b.Shutdown(bounded(t)) }()
	if _, err := idle.wire.read(0); err != io.EOF {
		t.Errorf("the idle session did not end: %v", err)
	}
	if _, err := Dial(bounded(t), b.address); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a closing server accepted: %v", err)
	}
	close(b.release)
	if err := <-answered; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownHasADeadline(t *testing.T) {
	b := serve(t, nil)
	p := dialRaw(t, b.address)
	p.send(request1("Wait", `{}`))
	<-b.waiting
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-b.ended; !errors.Is(err, ErrServerClosed) {
		t.Errorf("the waiting call ended with %v", err)
	}
	p.untilEOF()
}

func TestSessionKeepsValueAndSaysItsEnd(t *testing.T) {
	var s Server
	ended := make(chan string, 3)
	err := s.Register("interface a.b\nmethod M() -> (n: int)", map[string]Handler{"M": func(c *Call) error {
		n, _ := c.Session().Value.(int)
		c.Session().Value = n + 1
		c.Session().AfterEnd(func() { ended <- string(rune('0' + n)) })
		return c.Reply(map[string]int{"n": n})
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, run(t, &s))
	for want := range 3 {
		var out struct{ N int }
		if err := c.Call(bounded(t), "a.b.M", nil, &out); err != nil || out.N != want {
			t.Fatalf("M = %d, %v, want %d", out.N, err, want)
		}
	}
	c.Close()
	if got := <-ended + <-ended + <-ended; got != "210" {
		t.Errorf("functions ran in the order %s", got)
	}
}
