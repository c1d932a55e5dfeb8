package daemon

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// The rules of ARCHITECTURE.md by their numbers, for the stream delivery, from one process to another.

// TestRule1SecondComerIsRefused: 763 names the holder, and the incumbent's deliveries go on untouched.
func TestRule1SecondComerIsRefused(t *testing.T) {
	d := serve(t, "")
	first, second := d.driver(), d.driver()
	first.connect("soft:demo/3")
	d.raise("soft:demo/3", 2)
	_, refusal := second.do(order{Do: "connect", Vectors: []string{"soft:demo/3"}})
	refused(t, refusal, irq.ErrAlreadyConnected)
	if len(refusal.Conflicts) != 1 || len(refusal.Conflicts[0].Holders) != 1 {
		t.Fatalf("conflicts: %+v", refusal.Conflicts)
	}
	h := refusal.Conflicts[0].Holders[0]
	if h.PID != first.pid() || h.Since.IsZero() || h.Kind != irq.HolderProcess || h.UID == nil || len(refusal.Remedies) == 0 {
		t.Errorf("the refusal does not say who: %+v, %v", h, refusal.Remedies)
	}
	d.raise("soft:demo/3", 3)
	var count, sequence uint64
	for count < 5 {
		a := first.granted(order{Do: "wait", Timeout: time.Minute})
		count += a.Interrupt.Count
		if a.Interrupt.Sequence != sequence+1 {
			t.Errorf("sequence %d after %d", a.Interrupt.Sequence, sequence)
		}
		sequence = a.Interrupt.Sequence
	}
	if info := d.info("soft:demo/3"); count != 5 || info.Arrived != 5 || info.Masked {
		t.Errorf("the incumbent was disturbed: %d interrupts, %+v", count, info)
	}
}

// TestRule1EveryConflictIsListed.
func TestRule1EveryConflictIsListed(t *testing.T) {
	d := serve(t, "")
	first, second := d.driver(), d.driver()
	first.connect("soft:demo/1", "soft:demo/3")
	_, refusal := second.do(order{Do: "connect", Vectors: []string{"soft:demo/0", "soft:demo/1", "soft:demo/2", "soft:demo/3"}})
	refused(t, refusal, irq.ErrAlreadyConnected)
	var vectors []string
	for _, c := range refusal.Conflicts {
		vectors = append(vectors, c.Vector.String())
	}
	if diff := cmp.Diff([]string{"soft:demo/1", "soft:demo/3"}, vectors); diff != "" {
		t.Error(diff)
	}
}

// TestRule2SharingByConsentOfAll: each sharer gets its own copy and sequence; who did not consent is refused.
func TestRule2SharingByConsentOfAll(t *testing.T) {
	d := serve(t, "")
	one, two := d.connect("soft:demo/5", ivt.Shared()), d.connect("soft:demo/5", ivt.Shared())
	_, err := d.client.Connect(t.Context(), "soft:demo/5")
	if e := refused(t, err, irq.ErrAlreadyConnected); e.Conflicts[0].Reason != irq.ReasonSharerRefuses || len(e.Conflicts[0].Holders) != 2 {
		t.Errorf("which condition failed is not said: %+v", e.Conflicts)
	}
	d.raise("soft:demo/5", 1)
	for _, c := range []*ivt.Connection{one, two} {
		for i := wait(t, c); i.Count == 0; i = wait(t, c) { // rung when it joined
		}
	}
	_, err = serve(t, "[soft.demo]\nvectors = 4\n").client.Connect(t.Context(), "soft:demo/1", ivt.Shared())
	refused(t, err, irq.ErrNotSupported)
}

// TestRule3AllOrNone: what is free of a refused request stays free.
func TestRule3AllOrNone(t *testing.T) {
	d := serve(t, "")
	held := d.connect("soft:demo/1")
	_, err := d.client.ConnectAll(t.Context(), []string{"soft:demo/0", "soft:demo/1"})
	refused(t, err, irq.ErrAlreadyConnected)
	if state := d.info("soft:demo/0").State; state != irq.StateFree {
		t.Errorf("soft:demo/0 is %s", state)
	}
	if err := held.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := d.client.ConnectAll(t.Context(), []string{"soft:demo/0", "soft:demo/1"}, ivt.DryRun())
	if c != nil || err != nil || d.info("soft:demo/0").State != irq.StateFree {
		t.Errorf("a dry run: %v, %v", c, err)
	}
	any, err := d.client.Connect(t.Context(), "soft:demo", ivt.Any(3))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"soft:demo/0", "soft:demo/1", "soft:demo/2"}, names(any)); diff != "" {
		t.Error(diff)
	}
}

func names(c *ivt.Connection) (all []string) {
	for _, v := range c.Vectors() {
		all = append(all, v.String())
	}
	return all
}

// TestRule3Order: visibility, then policy, then conflict: what is hidden is not there, what is denied is denied,
// whoever holds it.
func TestRule3Order(t *testing.T) {
	d := serve(t, "[soft.open]\nvectors=2\n[soft.shut]\nvectors=2\n[soft.secret]\nvectors=2\n"+
		"[[allow]]\nvectors=[\"soft:secret/*\"]\ngid=4242\nhide=true\n[[allow]]\nvectors=[\"soft:shut/*\"]\ngid=4242\naccess=\"none\"\n[[allow]]\nvectors=[\"soft:*\"]\nuser=\"*\"\n")
	for _, v := range []string{"soft:open/0", "soft:shut/0", "soft:secret/0"} {
		d.connect(v)
	}
	guest := startDriver(t, d.socket, asUser(t, 4241, 4242))
	for _, c := range []struct {
		vectors []string
		code    irq.Code
	}{
		{[]string{"soft:open/0"}, irq.ErrAlreadyConnected}, {[]string{"soft:shut/0"}, irq.ErrAccessDenied}, {[]string{"soft:secret/0"}, irq.ErrNoSuchDevice},
		{[]string{"soft:open/0", "soft:shut/0"}, irq.ErrAccessDenied}, {[]string{"soft:open/0", "soft:shut/0", "soft:secret/0"}, irq.ErrNoSuchDevice},
		{[]string{"soft:nothing/0"}, irq.ErrNoSuchDevice},
	} {
		_, refusal := guest.do(order{Do: "connect", Vectors: c.vectors})
		e := refused(t, refusal, c.code)
		if c.code == irq.ErrAccessDenied && (e.Rule == nil || e.Rule.Line != 11 || e.Rule.File == "") {
			t.Errorf("%v: the rule is not named: %+v", c.vectors, e.Rule)
		}
	}
}

// TestRule4EveryNoHasItsCode, across the wire.
func TestRule4EveryNoHasItsCode(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=4\n")
	held := d.connect("soft:demo/0")
	ctx := t.Context()
	connect := func(vector string, o ...ivt.Option) error { _, err := d.client.Connect(ctx, vector, o...); return err }
	for _, c := range []struct {
		what   string
		err    error
		code   irq.Code
		reason irq.Reason
	}{
		{"held", connect("soft:demo/0"), irq.ErrAlreadyConnected, irq.ReasonHeld},
		{"malformed", connect("soft:demo"), irq.ErrInvalidParameter, irq.ReasonMalformed},
		{"out of range", connect("soft:demo/4"), irq.ErrInvalidParameter, irq.ReasonOutOfRange},
		{"too large", connect("soft:demo/99999999999"), irq.ErrInvalidParameter, irq.ReasonOutOfRange},
		{"trigger", connect("soft:demo/1", ivt.Trigger(irq.TriggerLevel)), irq.ErrInvalidParameter, irq.ReasonTriggerDiffers},
		{"no source", connect("soft:none/0"), irq.ErrNoSuchDevice, irq.ReasonNoSuchSource},
		{"not shareable", connect("soft:demo/1", ivt.Shared()), irq.ErrNotSupported, irq.ReasonNotShareable},
		{"too many", connect("soft:demo", ivt.Any(4)), irq.ErrNoResources, irq.ReasonNotEnoughVectors},
		{"detach in use", d.client.Detach(ctx, "soft:demo", false), irq.ErrStillConnected, irq.ReasonHeld},
		{"waiting ended", connect("soft:demo/0", ivt.WaitFor(time.Millisecond)), irq.ErrTimeout, irq.ReasonTimeout},
		{"no connection", d.client.Disconnect(ctx, "c999", 1), irq.ErrNotConnected, irq.ReasonClosed},
		{"old generation", d.client.Disconnect(ctx, held.ID(), 7), irq.ErrNotConnected, irq.ReasonStaleGeneration},
	} {
		e := refused(t, c.err, c.code)
		if e.Reason != c.reason || e.Operation == "" || e.Detail == "" && len(e.Conflicts) == 0 {
			t.Errorf("%s: %+v", c.what, e)
		}
	}
}

// TestRule5DisconnectMeansIt: after it nothing comes, not even on a copy of the descriptor, and what was queued is gone.
func TestRule5DisconnectMeansIt(t *testing.T) {
	d := serve(t, "")
	c := d.connect("soft:demo/7")
	d.raise("soft:demo/7", 9) // queued, unread
	files, _, err := c.Handover()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := d.connect("soft:demo/7")
	d.raise("soft:demo/7", 1)
	var record [64]byte
	if n, err := files[0].Read(record[:]); n != 0 || err == nil {
		t.Errorf("a copy of the stream gave %d bytes, %v", n, err)
	}
	for i := wait(t, next); i.Count == 0; i = wait(t, next) {
	}
	refused(t, c.Disconnect(t.Context()), irq.ErrNotConnected)
	for _, f := range files {
		f.Close()
	}
}

// TestRule5NoHandlerRunsAfterDisconnect, and a handler ends its own connection by its return value.
func TestRule5NoHandlerRunsAfterDisconnect(t *testing.T) {
	d := serve(t, "")
	c := d.connect("soft:demo/8")
	in, out := make(chan struct{}), make(chan struct{})
	handled := make(chan error, 1)
	go func() {
		handled <- c.Handle(t.Context(), func(ivt.Interrupt) irq.Verdict { close(in); <-out; return irq.Handled })
	}()
	d.raise("soft:demo/8", 1)
	<-in
	ended := make(chan error)
	go func() { ended <- c.Disconnect(t.Context()) }()
	d.becomes("soft:demo/8", irq.StateFree) // nobody waits for that handler but Disconnect
	select {
	case err := <-ended:
		t.Errorf("Disconnect returned while the handler ran: %v", err)
	default:
	}
	close(out)
	if err := errors.Join(<-ended, <-handled); err != nil {
		t.Error(err)
	}
	again := d.connect("soft:demo/8")
	d.raise("soft:demo/8", 1)
	if err := again.Handle(t.Context(), func(ivt.Interrupt) irq.Verdict { return irq.Done }); err != nil {
		t.Error(err)
	}
	d.becomes("soft:demo/8", irq.StateFree)
}
