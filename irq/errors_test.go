package irq_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
)

func sample() *irq.Error {
	uid := 1000
	return &irq.Error{
		Code: irq.ErrAlreadyConnected, Operation: "connect", Vector: irq.Vector{Source: "soft:demo", Index: 3}, Reason: irq.ReasonHeld,
		Conflicts: []irq.Conflict{{Vector: irq.Vector{Source: "soft:demo", Index: 3}, Reason: irq.ReasonHeld, Holders: []irq.Holder{{
			Kind: irq.HolderProcess, PID: 4711, StartTime: 99, UID: &uid, Command: "nicd", Unit: "nic@1.service", Label: "left port",
			Connection: "c1", Access: irq.AccessIRQ, Left: 1500 * time.Millisecond}}}},
		Remedies: []string{"ivt who soft:demo/3"},
	}
}

func TestErrorForms(t *testing.T) {
	e := sample()
	wantText := `connect soft:demo/3: 763 ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED; soft:demo/3 is held by pid 4711 (nicd, uid 1000, unit nic@1.service, "left port"), gone; its grace ends in 1.5s`
	if diff := cmp.Diff(wantText, e.Error()); diff != "" {
		t.Error(diff)
	}
	wantLines := `connect soft:demo/3: 763 ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED
  means   the specified interrupt vector was already connected
  held    soft:demo/3 is held by pid 4711 (nicd, uid 1000, unit nic@1.service, "left port"), gone; its grace ends in 1.5s
  try     ivt who soft:demo/3`
	if diff := cmp.Diff(wantLines, e.Explain()); diff != "" {
		t.Error(diff)
	}
	wantJSON := `{"code":763,"name":"ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED","operation":"connect","vector":"soft:demo/3","reason":"held",` +
		`"conflicts":[{"vector":"soft:demo/3","reason":"held","holders":[{"kind":"process","pid":4711,"startTime":99,"uid":1000,"command":"nicd",` +
		`"unit":"nic@1.service","label":"left port","connection":"c1","access":"irq","secondsLeft":2}]}],"remedies":["ivt who soft:demo/3"]}`
	b, err := json.Marshal(e)
	if diff := cmp.Diff(wantJSON, string(b)); diff != "" || err != nil {
		t.Error(diff, err)
	}
	var log bytes.Buffer
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: drop})).Info("refused", "err", e)
	wantLog := `level=INFO msg=refused err.code=763 err.name=ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED err.operation=connect err.vector=soft:demo/3 err.reason=held ` +
		`err.conflict0="soft:demo/3 is held by pid 4711 (nicd, uid 1000, unit nic@1.service, \"left port\"), gone; its grace ends in 1.5s"` + "\n"
	if diff := cmp.Diff(wantLog, log.String()); diff != "" {
		t.Error(diff)
	}
}

func TestErrorJSONRoundTrip(t *testing.T) {
	full := sample()
	full.Detail, full.Requested, full.Free = "why", 5, 0
	full.Rule = &irq.Rule{Text: "deny *", File: "/etc/ivtd/ivtd.toml", Line: 12}
	for _, e := range []*irq.Error{
		full, {Code: irq.ErrInvalidParameter, Name: "soft:", Reason: irq.ReasonMalformed}, {Code: 4242, Operation: "later"}, {},
		{Code: irq.ErrBusy, Conflicts: []irq.Conflict{{Vector: irq.Vector{Source: "irq", Index: 9}, Holders: []irq.Holder{}}}},
	} {
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back irq.Error
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		want := *e
		if len(want.Conflicts) == 1 && len(want.Conflicts[0].Holders) == 1 {
			h := want.Conflicts[0].Holders[0]
			h.Left = 2 * time.Second // whole seconds on the wire
			want.Conflicts = []irq.Conflict{{Vector: want.Conflicts[0].Vector, Reason: want.Conflicts[0].Reason, Holders: []irq.Holder{h}}}
		}
		if diff := cmp.Diff(want, back); diff != "" {
			t.Error(diff)
		}
	}
	caused := &irq.Error{Code: irq.ErrNoResources, Detail: "cannot wire", Err: syscall.ENOSPC}
	b, _ := json.Marshal(caused)
	var back irq.Error
	if err := json.Unmarshal(b, &back); err != nil || back.Detail != "cannot wire: no space left on device" {
		t.Error(back.Detail, err)
	}
	for _, bad := range []string{`[]`, `{"code":-1}`, `{"code":"x"}`, `{"conflicts":[{"vector":"no"}]}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s is read as an error", bad)
		}
	}
}

// Whatever somebody calls himself, a terminal is not told what to do.
func TestHostileTextIsShownHarmlessly(t *testing.T) {
	for _, hostile := range []string{
		"\x1b]0;owned\x07", "\x1b[2J", "a\nb\r\tc", "\u202eevil", "\u2066x\u2069", "\x00", "\xff\xfe", "\u009b31m", "zero\u200bwidth", "\ufffd", "\U000e0041tag", strings.Repeat("long", 1000),
	} {
		h := irq.Holder{Kind: irq.HolderProcess, PID: 1, Label: hostile, Command: hostile, Unit: hostile}
		k := irq.Holder{Kind: irq.HolderKernel, Driver: hostile, Device: hostile}
		u := irq.Holder{Kind: irq.HolderUnknown, Label: hostile}
		e := &irq.Error{Code: irq.ErrAccessDenied, Operation: hostile, Name: hostile, Detail: hostile, Reason: irq.Reason(hostile), Err: errors.New(hostile),
			Rule: &irq.Rule{Text: hostile, File: hostile}, Remedies: []string{hostile}, Conflicts: []irq.Conflict{{Reason: irq.Reason(hostile),
				Vector: irq.Vector{Source: hostile, Type: hostile}, Holders: []irq.Holder{h, k, u}}}}
		b, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("refused", "err", e)
		for form, text := range map[string]string{"text": e.Error(), "lines": strings.ReplaceAll(e.Explain(), "\n", ""), "JSON": string(b), "log": strings.TrimSpace(log.String())} {
			for _, r := range text {
				if irq.Printable(string(r)) != string(r) {
					t.Errorf("%q as %s has %q", hostile, form, r)
				}
			}
			if form != "JSON" && len(text) > 8000 {
				t.Errorf("%s is %d bytes long", form, len(text))
			}
		}
		if strings.Count(e.Explain(), "\n") > 12 {
			t.Errorf("%q makes lines: %q", hostile, e.Explain())
		}
	}
	if s := "grün, 中文, 🙂"; irq.Printable(s) != s {
		t.Error(irq.Printable(s))
	}
	if diff := cmp.Diff(`a\x1b[1m\u202e\xff\U000e0041b`, irq.Printable("a\x1b[1m\u202e\xff\U000e0041b")); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsMatchAndWrap(t *testing.T) {
	err := fmt.Errorf("driver: %w", &irq.Error{Code: irq.ErrNoResources, Err: syscall.ENOMEM})
	for _, target := range []error{irq.ErrNoResources, numberOf(irq.ErrNoResources, syscall.ENOSPC), syscall.ENOMEM} {
		if !errors.Is(err, target) {
			t.Errorf("%v is not %v", err, target)
		}
	}
	for _, target := range []error{irq.ErrBusy, syscall.EBUSY, syscall.Errno(0)} {
		if errors.Is(err, target) {
			t.Errorf("%v is %v", err, target)
		}
	}
	var e *irq.Error
	if !errors.As(err, &e) || e.Code != irq.ErrNoResources {
		t.Error(e)
	}
	for _, c := range irq.Codes() {
		if c.Text() == "" || c.Short() == "" || strings.HasPrefix(c.Name(), "ERROR_7") {
			t.Errorf("%d is not described", uint32(c))
		}
	}
	if got := irq.Code(4242).Name(); got != "ERROR_4242" {
		t.Error(got)
	}
}
