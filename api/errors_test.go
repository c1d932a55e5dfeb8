package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ivtd/ivt/irq"
)

func refusal(code irq.Code) *irq.Error {
	uid := 1000
	return &irq.Error{
		Code: code, Operation: "connect", Vector: irq.Vector{Source: "soft:demo", Index: 3}, Name: "as written", Reason: irq.ReasonHeld, Detail: "because",
		Conflicts: []irq.Conflict{{Vector: irq.Vector{Source: "irq", Index: 36}, Reason: irq.ReasonKernelHolds, Holders: []irq.Holder{
			{Kind: irq.HolderKernel, Driver: "virtio0", Device: "0000:00:02.0", IRQ: 36},
			{Kind: irq.HolderProcess, PID: 7, StartTime: 8, UID: &uid, GID: &uid, Command: "nicd", Unit: "nicd.service", Cgroup: "/system.slice/nicd.service",
				Label: "rx", Since: time.Unix(5, 6).UTC(), Connection: "c1", Shared: true, Access: irq.AccessDevice, Left: 3 * time.Second},
		}}},
		Rule: &irq.Rule{Text: "[[allow]]", File: "/etc/ivtd/ivtd.toml", Line: 3}, Requested: 4, Free: 2, Remedies: []string{"do this", "or that"},
		Err: fmt.Errorf("open: %w", syscall.EMFILE),
	}
}

// TestErrorsTravelWhole: every code, with everything that an error can say, there and back; and the
// errors package finds in it what it found before.
func TestErrorsTravelWhole(t *testing.T) {
	for _, code := range irq.Codes() {
		for _, want := range []*irq.Error{refusal(code), {Code: code}} {
			j, err := json.Marshal(FromError(want))
			if err != nil {
				t.Fatal(err)
			}
			if err := description.CheckError(ErrorName(code), j); err != nil {
				t.Errorf("%v: %v", code, err)
			}
			got, ok := ParseError(ErrorName(code), j)
			if !ok {
				t.Fatalf("%v is not read back", code)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(irq.Error{}, "Err")); diff != "" {
				t.Errorf("%v: %s", code, diff)
			}
			if !errors.Is(got, code) || want.Err != nil && (!errors.Is(got, syscall.EMFILE) || got.Err.Error() != want.Err.Error()) {
				t.Errorf("%v: errors.Is is lost: %v", code, got)
			}
		}
	}
}

func TestForeignErrors(t *testing.T) {
	if _, ok := ParseError("org.varlink.service.MethodNotFound", nil); ok {
		t.Error("an error of another interface is taken for one of ours")
	}
	if e, ok := ParseError(Name+".AlreadyConnected", json.RawMessage(`{"code":"x"}`)); !ok || e.Code != irq.ErrAlreadyConnected {
		t.Errorf("an unreadable 763 is %v, %v", e, ok)
	}
	if _, ok := ParseError(Name+".NeverHeardOf", json.RawMessage(`{}`)); ok {
		t.Error("an unknown error without a code is taken for one of ours")
	}
	e, ok := ParseError(Name+".AlreadyConnected", json.RawMessage(`{"vector":"new:style//name","conflicts":[{"vector":"?"}]}`))
	if !ok || e.Name != "new:style//name" || len(e.Conflicts) != 1 {
		t.Errorf("names of a newer ivtd: %+v", e)
	}
}

func FuzzParseError(f *testing.F) {
	j, _ := json.Marshal(FromError(refusal(irq.ErrAlreadyConnected)))
	f.Add("AlreadyConnected", j)
	f.Add("TimedOut", []byte(`{"conflicts":[{"holders":[{}]}]}`))
	f.Fuzz(func(t *testing.T, name string, parameters []byte) {
		if e, ok := ParseError(Name+"."+name, parameters); ok {
			_ = e.Error()
		}
	})
}

func FuzzNotice(f *testing.F) {
	f.Add(Notice{Kind: NoticeOver, Code: irq.ErrNotConnected, Reason: irq.ReasonRevoked, Detail: "x"}.Append(nil))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := DecodeNotice(b)
		if err != nil {
			return
		}
		again, err := DecodeNotice(n.Append(nil))
		if err != nil || again.Kind != n.Kind || again.Reason != n.Reason {
			t.Errorf("%+v is read back as %+v, %v", n, again, err)
		}
	})
}

func TestNotice(t *testing.T) {
	now := time.Unix(100, 0)
	n := FromNotice(irq.Notice{Generation: 4, Reason: irq.ReasonRevoked, Deadline: now.Add(time.Second)}, now, 5e9)
	if want := (Notice{Kind: NoticeEnding, Code: irq.ErrNotConnected, Generation: 4, Deadline: 6e9, Reason: irq.ReasonRevoked}); n != want {
		t.Errorf("got %+v", n)
	}
	over := FromNotice(irq.Notice{Generation: 4, Reason: irq.ReasonSourceGone, Detail: "because", Err: refusal(irq.ErrNotConnected)}, now, 0)
	back, err := DecodeNotice(over.Append(nil))
	if err != nil || back != over || back.Kind != NoticeOver || back.Detail != "because" {
		t.Errorf("got %+v, %v", back, err)
	}
	long := Notice{Detail: string(make([]byte, 2*MaxNotice))}
	if b := long.Append(nil); len(b) > MaxNotice {
		t.Errorf("a notice of %d bytes", len(b))
	}
}
