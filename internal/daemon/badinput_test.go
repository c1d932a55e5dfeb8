package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// TestNamesOverTheWire: whatever a client writes as a vector is refused with a code, and ivtd serves on.
func TestNamesOverTheWire(t *testing.T) {
	d := serve(t, "")
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		vectors []string
		code    irq.Code
	}{
		{nil, irq.ErrInvalidParameter}, {[]string{}, irq.ErrInvalidParameter}, {[]string{""}, irq.ErrInvalidParameter},
		{[]string{"soft:" + long + "/0"}, irq.ErrInvalidParameter}, {[]string{"soft:demo/-1"}, irq.ErrInvalidParameter},
		{[]string{"soft:demo/18446744073709551616"}, irq.ErrInvalidParameter}, {[]string{"soft:demo/64"}, irq.ErrInvalidParameter},
		{[]string{"soft:démo/1"}, irq.ErrInvalidParameter}, {[]string{"soft:demo/\u202e1"}, irq.ErrInvalidParameter},
		{[]string{"soft:demo/1\x00"}, irq.ErrInvalidParameter}, {[]string{"soft:demo/1", "soft:demo/1"}, irq.ErrInvalidParameter},
		{[]string{"soft:demo/01"}, irq.ErrInvalidParameter}, {[]string{"soft:demo/msix/1"}, irq.ErrInvalidParameter},
		{[]string{"../../etc/passwd"}, irq.ErrInvalidParameter}, {[]string{"irq:99999"}, irq.ErrNoSuchDevice},
		{strings.Split(strings.Repeat("soft:demo/1 ", 4097), " ")[:4097], irq.ErrInvalidParameter},
	} {
		_, err := d.client.ConnectAll(t.Context(), c.vectors)
		e := refused(t, err, c.code)
		if e.Operation != "connect" || len(e.Error()) > 10000 {
			t.Errorf("%.40q: %v", c.vectors, e)
		}
	}
	d.connect("soft:demo/1")
}

// TestParametersOverTheWire: wrong types, unknown members, nonsense in each call.
func TestParametersOverTheWire(t *testing.T) {
	d := serve(t, "")
	for _, c := range []struct{ method, parameters, wrong string }{
		{"Connect", `{"vectors":"soft:demo/1"}`, "vectors"}, {"Connect", `{"vectors":[1]}`, "vectors[0]"}, {"Connect", `{}`, "vectors"},
		{"Connect", `{"vectors":[],"sahred":true}`, "sahred"}, {"Connect", `{"vectors":[],"trigger":"both"}`, "trigger"},
		{"ConnectAny", `{"source":"soft:demo","count":1.5}`, "count"}, {"Raise", `{"vector":"soft:demo/1","count":-1}`, "count"},
		{"Disconnect", `{"connection":"c1","generation":-1}`, "generation"}, {"List", `{"after":3}`, "after"}, {"Watch", `{"since":-1}`, "since"},
		{"SetSuccessor", `{"connection":"c1","generation":1}`, "pid"},
	} {
		r := d.raw(t)
		var err error
		if c.method == "Watch" {
			s, failed := r.More(t.Context(), api.Name+".Watch", json.RawMessage(c.parameters))
			if failed != nil {
				t.Fatal(failed)
			}
			err = s.Next(nil)
		} else {
			err = r.call(t, c.method, json.RawMessage(c.parameters), nil)
		}
		var answer *varlink.Error
		if !errors.As(err, &answer) || answer.Name != varlink.ErrorInvalidParameter {
			t.Errorf("%s %s: %v", c.method, c.parameters, err)
		}
	}
	for _, c := range []struct {
		in   any
		call string
	}{
		{api.ConnectIn{Vectors: []string{"soft:demo/1"}, Terms: api.Terms{Label: strings.Repeat("l", 129)}}, "Connect"},
		{api.ConnectIn{Vectors: []string{"soft:demo/1"}, Terms: api.Terms{Label: "\x1b[2J"}}, "Connect"},
		{api.ConnectIn{Vectors: []string{"soft:demo/1"}, Terms: api.Terms{Grace: 1 << 40}}, "Connect"},
		{api.ConnectIn{Vectors: []string{"soft:demo/1"}, Terms: api.Terms{Timeout: 1 << 62}}, "Connect"},
		{api.ConnectAnyIn{Source: "soft:demo", Count: 0}, "ConnectAny"}, {api.ConnectAnyIn{Source: "soft:demo", Count: 1 << 40}, "ConnectAny"},
		{api.ConnectAnyIn{Source: "nonsense", Count: 1}, "ConnectAny"}, {api.ListIn{After: "nonsense"}, "List"}, {api.HistoryIn{After: "nonsense"}, "History"},
		{api.RevokeIn{Connection: "c1", Grace: 1 << 62}, "Revoke"}, {json.RawMessage(`{"since":"yesterday"}`), "History"},
	} {
		err := d.raw(t).call(t, c.call, c.in, nil)
		var answer *varlink.Error
		if !errors.As(err, &answer) || answer.Name != api.ErrorName(irq.ErrInvalidParameter) {
			t.Errorf("%s %+v: %v", c.call, c.in, err)
		}
	}
}

// TestPlainCallsOnly: a reply with descriptors is the only one of its call.
func TestPlainCallsOnly(t *testing.T) {
	d := serve(t, "")
	r := d.raw(t)
	s, err := r.More(t.Context(), api.Name+".Connect", api.ConnectIn{Vectors: []string{"soft:demo/1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Next(nil); err == nil || !strings.Contains(err.Error(), "more") {
		t.Errorf("got %v", err)
	}
	if err := r.Oneway(t.Context(), api.Name+".Connect", api.ConnectIn{Vectors: []string{"soft:demo/1"}}); err != nil {
		t.Fatal(err)
	}
	if err := r.call(t, "Status", nil, nil); err != nil {
		t.Fatal(err)
	}
	if state := d.info("soft:demo/1").State; state != irq.StateFree {
		t.Errorf("the vector is %s", state)
	}
}

// TestDescriptorsWhereNoneBelong: of every kind, they are not taken, and ivtd has none more afterwards.
func TestDescriptorsWhereNoneBelong(t *testing.T) {
	d := serve(t, "")
	d.raw(t).call(t, "Status", nil, nil)
	before := openFiles(t)
	a, b, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	device, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{a, b, device} {
		r := d.raw(t)
		_, err := r.CallDescriptors(t.Context(), api.Name+".Status", nil, nil, int(f.Fd()))
		if err != nil && !errors.Is(err, syscall.EPERM) { // the kernel refuses them (SO_PASSRIGHTS), or ivtd closes them
			t.Errorf("%s: %v", f.Name(), err)
		}
		r.Close()
		f.Close()
	}
	eventually(t, "no descriptor is left", func() bool { return openFiles(t) <= before })
}

// TestClosesMidCall: a client that hangs up within a message, or before its reply, leaves nothing behind.
func TestClosesMidCall(t *testing.T) {
	d := serve(t, "")
	for _, text := range []string{`{"method":"io.ivtd`, `{"method":"io.ivtd.interrupts.Connect","parameters":{"vectors":["soft:demo/2"]}}` + "\x00", "\x00", "}{\x00"} {
		c, err := net.Dial("unix", d.socket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	eventually(t, "the vector is free", func() bool { return d.info("soft:demo/2").State == irq.StateFree && d.Sessions() == 0 })
}

// TestWaiterHangsUp: closing the session cancels the wait.
func TestWaiterHangsUp(t *testing.T) {
	d := serve(t, "")
	d.connect("soft:demo/2")
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := d.client.Connect(ctx, "soft:demo/2", ivt.Wait())
		failed <- err
	}()
	eventually(t, "it waits", func() bool { return d.info("soft:demo/2").Waiting == 1 })
	cancel()
	refused(t, <-failed, irq.ErrCancelled)
	eventually(t, "it waits no more", func() bool { return d.info("soft:demo/2").Waiting == 0 })
}

// TestNeverReads: a watcher that does not read holds nobody up, and is told what it missed or cut off.
func TestNeverReads(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=8\n[limits]\nhistory=16\n")
	r := d.raw(t)
	if _, err := r.More(t.Context(), api.Name+".Watch", nil); err != nil {
		t.Fatal(err)
	}
	for range 2000 { // some 400 bytes each, more than the socket holds
		c := d.connect("soft:demo/1")
		if err := c.Disconnect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKernelsVectors: an interrupt of the kernel's is 763 with its driver, beside every other conflict; a rule that
// refuses or hides it is obeyed; one that nobody has is not there.
func TestKernelsVectors(t *testing.T) {
	kernels := fakeHost{
		{Source: "irq", Index: 36}:                           {{Kind: irq.HolderKernel, Driver: "virtio0-req.0", Device: "0000:00:02.0", IRQ: 36}},
		{Source: "pci:0000:00:02.0", Type: "msix", Index: 1}: {{Kind: irq.HolderKernel, Driver: "virtio0-req.0", Device: "0000:00:02.0", IRQ: 36}},
		{Source: "irq", Index: 40}:                           nil,
		{Source: "irq", Index: 41}:                           {{Kind: irq.HolderKernel, Driver: "hidden", IRQ: 41}},
		{Source: "irq", Index: 42}:                           {{Kind: irq.HolderKernel, Driver: "denied", IRQ: 42}},
	}
	d := serve(t, "[soft.demo]\nvectors=8\n[[allow]]\nvectors=[\"irq:41\"]\ngid=4242\nhide=true\n[[allow]]\nvectors=[\"irq:42\"]\ngid=4242\naccess=\"none\"\n[[allow]]\nvectors=[\"soft:*\"]\nuser=\"*\"\n",
		func(c *Config) { c.Host = kernels })
	d.connect("soft:demo/1")
	guest := startDriver(t, d.socket, asUser(t, 4241, 4242))
	for _, c := range []struct {
		vectors []string
		code    irq.Code
		in      []string // vectors of the conflicts
	}{
		{[]string{"irq:36"}, irq.ErrAlreadyConnected, []string{"irq:36"}},
		{[]string{"pci:0000:00:02.0/msix/1"}, irq.ErrAlreadyConnected, []string{"pci:0000:00:02.0/msix/1"}},
		{[]string{"soft:demo/0", "irq:36", "soft:demo/1"}, irq.ErrAlreadyConnected, []string{"irq:36", "soft:demo/1"}},
		{[]string{"irq:36", "soft:demo/99"}, irq.ErrInvalidParameter, nil},
		{[]string{"irq:40"}, irq.ErrNoSuchDevice, nil}, {[]string{"irq:43"}, irq.ErrNoSuchDevice, nil},
		{[]string{"irq:41"}, irq.ErrNoSuchDevice, nil}, {[]string{"irq:42"}, irq.ErrAccessDenied, nil},
	} {
		_, refusal := guest.do(order{Do: "connect", Vectors: c.vectors})
		e := refused(t, refusal, c.code)
		var in []string
		for _, conflict := range e.Conflicts {
			in = append(in, conflict.Vector.String())
			if conflict.Vector.Source == "irq" && (conflict.Reason != irq.ReasonKernelHolds || conflict.Holders[0].Driver != "virtio0-req.0") {
				t.Errorf("%v: %+v", c.vectors, conflict)
			}
		}
		if c.in != nil && strings.Join(in, " ") != strings.Join(c.in, " ") || c.in != nil && len(e.Remedies) == 0 {
			t.Errorf("%v: conflicts %v, remedies %v", c.vectors, in, e.Remedies)
		}
	}
	if i, err := d.client.Lookup(t.Context(), "irq:36"); err != nil || i.State != irq.StateUnavailable || i.Holders[0].Driver != "virtio0-req.0" {
		t.Errorf("lookup: %+v, %v", i, err)
	}
	refusals := 0
	for e, err := range d.client.History(t.Context(), "irq:36", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Refused != nil {
			refusals++
		}
	}
	if refusals == 0 {
		t.Error("the refusal is not in the history")
	}
}

// fakeHost stands in for the machine, whose interrupts nobody can choose.
type fakeHost map[irq.Vector][]irq.Holder

func (h fakeHost) Holders(_ context.Context, v irq.Vector) ([]irq.Holder, []string, bool, error) {
	holders, known := h[v]
	return holders, []string{"ivt unbind"}, known, nil
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
