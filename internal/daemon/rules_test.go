package daemon

import (
	"context"
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
		a := first.granted(order{Do: "wait", Timeout: 10 * time.Second})
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

// TestRule6ADeadHolderHoldsNothing: killed, and its children with copies of everything are no holders.
func TestRule6ADeadHolderHoldsNothing(t *testing.T) {
	d := serve(t, "")
	holder := d.driver()
	holder.connect("soft:demo/3")
	child := holder.granted(order{Do: "fork"})
	defer killPID(child.PID)
	eventually(t, "the child squats", func() bool { return reported(t, holder.report, "squatting") })
	d.becomes("soft:demo/3", irq.StateConnected)
	holder.kill()
	d.becomes("soft:demo/3", irq.StateFree)
	next := d.driver()
	next.connect("soft:demo/3")
}

// TestRule6TheLifelineEndsIt: closing its last copy, or shutting it down, is the end too, however alive the process is.
func TestRule6TheLifelineEndsIt(t *testing.T) {
	d := serve(t, "")
	for _, how := range []struct {
		name string
		end  func(fd int) error
	}{{"closed", closeFD}, {"shut down", shutdown}, {"half shut down", shutdownWrite}} {
		t.Run(how.name, func(t *testing.T) {
			raw := d.raw(t)
			out, fds := raw.connect(t, "soft:demo/9")
			defer raw.closeAll(fds)
			if err := how.end(fds[*out.Lifeline]); err != nil {
				t.Fatal(err)
			}
			d.becomes("soft:demo/9", irq.StateFree)
		})
	}
}

// TestRule6AStoppedHolderHolds: SIGSTOP is not death.
func TestRule6AStoppedHolderHolds(t *testing.T) {
	d := serve(t, "")
	holder := d.driver()
	holder.connect("soft:demo/3")
	holder.signal(sigStop)
	_, err := d.client.Connect(t.Context(), "soft:demo/3")
	refused(t, err, irq.ErrAlreadyConnected)
	if err := d.client.Revoke(t.Context(), d.info("soft:demo/3").Holders[0].Connection, 0, "it does not answer"); err != nil {
		t.Fatal(err)
	}
	d.connect("soft:demo/3")
}

// TestRule7IdentityNotKnowledge: who knows the id of a connection can do nothing with it.
func TestRule7IdentityNotKnowledge(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=64\n[[allow]]\nvectors=[\"soft:*\"]\nuser=\"*\"\n")
	holder := d.driver()
	held := holder.connect("soft:demo/3")
	thief := startDriver(t, d.socket, asUser(t, 4241, 4242))
	for _, o := range []order{
		{Do: "disconnect as", Connection: held.Connection, Generation: held.Generation},
		{Do: "mask as", Connection: held.Connection, Generation: held.Generation, Vectors: []string{"soft:demo/3"}},
		{Do: "resume", Connection: held.Connection, Token: "guess"},
	} {
		_, refusal := thief.do(o)
		refused(t, refusal, irq.ErrAccessDenied)
	}
	if i := d.info("soft:demo/3"); i.State != irq.StateConnected || i.Masked {
		t.Errorf("%+v", i)
	}
	_, refusal := holder.do(order{Do: "mask as", Connection: held.Connection, Generation: held.Generation + 1, Vectors: []string{"soft:demo/3"}})
	if e := refused(t, refusal, irq.ErrNotConnected); e.Reason != irq.ReasonStaleGeneration {
		t.Errorf("reason %s", e.Reason)
	}
}

// TestRule7AChildSpeaksForNobody: a child on the session that it inherited is refused.
func TestRule7AChildSpeaksForNobody(t *testing.T) {
	d := serve(t, "")
	holder := d.driver()
	holder.connect("soft:demo/3")
	child := holder.granted(order{Do: "fork"})
	defer killPID(child.PID)
	eventually(t, "the child has tried", func() bool { return reported(t, holder.report, "squatting") })
	if !reported(t, holder.report, "AccessDenied") || !reported(t, holder.report, "the session was opened by pid") {
		t.Error("the child was not refused as such")
	}
	if state := d.info("soft:demo/60").State; state != irq.StateFree {
		t.Errorf("the child got a vector: %s", state)
	}
}

// TestRule8LevelStaysMaskedUntilAllAcknowledged, and who does not is revoked at the deadline.
func TestRule8LevelStaysMaskedUntilAllAcknowledged(t *testing.T) {
	d := serve(t, "[soft.level]\nvectors=2\nshareable=true\ntrigger=\"level\"\n[limits]\nack_deadline=\"300ms\"\n")
	one, two := d.connect("soft:level/0", ivt.Shared()), d.connect("soft:level/0", ivt.Shared())
	settle(t, one, two)
	d.raise("soft:level/0", 1)
	first, second := wait(t, one), wait(t, two)
	if !first.Level || !second.Level {
		t.Errorf("the records do not ask for an acknowledgement: %+v, %+v", first, second)
	}
	if err := one.Ack(first, true); err != nil {
		t.Fatal(err)
	}
	d.raise("soft:level/0", 1) // pending: the other one has not acknowledged
	select {
	case <-two.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("who does not acknowledge was not revoked")
	}
	if e := refused(t, two.Err(), irq.ErrNotConnected); e.Reason != irq.ReasonRevoked {
		t.Errorf("reason %s", e.Reason)
	}
	if i := wait(t, one); i.Count != 1 {
		t.Errorf("the other sharer does not go on: %+v", i)
	}
}

// settle acknowledges what sharers were rung for when they joined.
func settle(t *testing.T, all ...*ivt.Connection) {
	t.Helper()
	for _, c := range all {
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			i, err := c.Wait(ctx)
			cancel()
			if errors.Is(err, irq.ErrTimeout) {
				break
			}
			if err := errors.Join(err, c.Ack(i, true)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRule9InDoubtRing: after a resume the present holder is woken, and what came meanwhile is counted.
func TestRule9InDoubtRing(t *testing.T) {
	d := serve(t, "")
	holder := d.driver()
	held := holder.granted(order{Do: "connect", Vectors: []string{"soft:demo/3"}, Grace: time.Minute})
	holder.kill()
	d.becomes("soft:demo/3", irq.StateOrphaned)
	d.raise("soft:demo/3", 4)
	_, err := d.client.Connect(t.Context(), "soft:demo/3")
	if e := refused(t, err, irq.ErrAlreadyConnected); e.Conflicts[0].Reason != irq.ReasonOrphaned || e.Conflicts[0].Holders[0].Left <= 0 {
		t.Errorf("a grace does not say how long: %+v", e.Conflicts)
	}
	again := d.driver()
	resumed := again.granted(order{Do: "resume", Connection: held.Connection, Token: held.Token})
	if resumed.Generation != held.Generation+1 || resumed.Token == held.Token {
		t.Errorf("resumed as %+v after %+v", resumed, held)
	}
	if a := again.granted(order{Do: "wait", Timeout: 10 * time.Second}); !a.Interrupt.Rang || a.Interrupt.Count != 4 {
		t.Errorf("woken with %+v", a.Interrupt)
	}
	_, refusal := again.do(order{Do: "resume", Connection: held.Connection, Token: held.Token})
	refused(t, refusal, irq.ErrAccessDenied) // a token is good once
}

// TestRule9ResumeNeedsIdentityAndDeath.
func TestRule9ResumeNeedsIdentityAndDeath(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=64\n[[allow]]\nvectors=[\"soft:*\"]\nuser=\"*\"\n")
	holder := d.driver()
	held := holder.granted(order{Do: "connect", Vectors: []string{"soft:demo/3"}, Grace: time.Minute})
	resume := order{Do: "resume", Connection: held.Connection, Token: held.Token}
	_, refusal := d.driver().do(resume)
	refused(t, refusal, irq.ErrAlreadyConnected) // the former process lives
	holder.kill()
	d.becomes("soft:demo/3", irq.StateOrphaned)
	_, refusal = startDriver(t, d.socket, asUser(t, 4241, 4242)).do(resume)
	refused(t, refusal, irq.ErrAccessDenied) // another user
}

// TestRule10WaitingIsFair: first come, first served, across processes; a deadline and a hang-up end it.
func TestRule10WaitingIsFair(t *testing.T) {
	d := serve(t, "")
	holder := d.driver()
	holder.connect("soft:demo/3")
	queue := []*driverProcess{d.driver(), d.driver(), d.driver()}
	for i, w := range queue {
		w.begin(order{Do: "connect", Vectors: []string{"soft:demo/3"}, Wait: true})
		eventually(t, "it waits", func() bool { return d.info("soft:demo/3").Waiting == i+1 })
	}
	_, err := d.client.Connect(t.Context(), "soft:demo/3", ivt.WaitFor(time.Millisecond))
	if e := refused(t, err, irq.ErrTimeout); len(e.Conflicts) == 0 {
		t.Errorf("a wait that ended does not say who was in the way: %+v", e)
	}
	queue[1].kill() // dies while it waits
	eventually(t, "it waits no more", func() bool { return d.info("soft:demo/3").Waiting == 2 })
	holder.kill()
	for _, w := range []*driverProcess{queue[0], queue[2]} {
		if _, refusal := w.answer(); refusal != nil {
			t.Fatal(refusal)
		}
		if h := d.info("soft:demo/3").Holders; len(h) != 1 || h[0].PID != w.pid() {
			t.Fatalf("held by %v, want pid %d", h, w.pid())
		}
		w.kill()
	}
}

// TestRule10Successor: whom the holder names goes first.
func TestRule10Successor(t *testing.T) {
	d := serve(t, "")
	c := d.connect("soft:demo/3")
	early, heir := d.driver(), d.driver()
	for i, w := range []*driverProcess{early, heir} {
		w.begin(order{Do: "connect", Vectors: []string{"soft:demo/3"}, Wait: true})
		eventually(t, "it waits", func() bool { return d.info("soft:demo/3").Waiting == i+1 })
	}
	if err := c.SetSuccessor(t.Context(), heir.pid()); err != nil {
		t.Fatal(err)
	}
	if err := c.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, refusal := heir.answer(); refusal != nil {
		t.Fatal(refusal)
	}
}

// TestRule12ASourceDoesNotLeaveUnderItsUsers.
func TestRule12ASourceDoesNotLeaveUnderItsUsers(t *testing.T) {
	d := serve(t, "")
	notices := make(chan ivt.Notice, 4)
	c := d.connect("soft:demo/3", ivt.OnNotice(func(n ivt.Notice) { notices <- n }))
	done := c.Done()
	if e := refused(t, d.client.Detach(t.Context(), "soft:demo", false), irq.ErrStillConnected); len(e.Conflicts) != 1 || e.Conflicts[0].Vector.Index != 3 {
		t.Errorf("who is connected is not listed: %+v", e)
	}
	if err := d.client.Detach(t.Context(), "soft:demo", true); err != nil {
		t.Fatal(err)
	}
	<-done
	if e := refused(t, c.Err(), irq.ErrNotConnected); e.Reason != irq.ReasonSourceGone {
		t.Errorf("reason %s", e.Reason)
	}
	if n := <-notices; !n.Over || n.Reason != irq.ReasonSourceGone {
		t.Errorf("notice %+v", n)
	}
	_, err := d.client.Connect(t.Context(), "soft:demo/3")
	refused(t, err, irq.ErrNoSuchDevice)
}

// TestRule12RevokeTellsTheDeadline.
func TestRule12RevokeTellsTheDeadline(t *testing.T) {
	d := serve(t, "")
	notices := make(chan ivt.Notice, 4)
	c := d.connect("soft:demo/3", ivt.OnNotice(func(n ivt.Notice) { notices <- n }))
	done := c.Done()
	if err := d.client.Revoke(t.Context(), c.ID(), time.Second, "maintenance"); err != nil {
		t.Fatal(err)
	}
	if n := <-notices; n.Over || n.Deadline.IsZero() || n.Detail != "maintenance" {
		t.Errorf("notice %+v", n)
	}
	<-done
	if n := <-notices; !n.Over || n.Reason != irq.ReasonRevoked {
		t.Errorf("notice %+v", n)
	}
	refused(t, c.Err(), irq.ErrNotConnected)
}

// TestRule13History: who held it, and who was refused, can be asked afterwards.
func TestRule13History(t *testing.T) {
	d := serve(t, "")
	holder, other := d.driver(), d.driver()
	holder.connect("soft:demo/3")
	other.connect("soft:demo/4")
	_, refusal := other.do(order{Do: "connect", Vectors: []string{"soft:demo/3"}})
	refused(t, refusal, irq.ErrAlreadyConnected)
	holder.kill()
	d.becomes("soft:demo/3", irq.StateFree)
	type line struct {
		Kind   irq.EventKind
		PID    int
		Refuse irq.Code
	}
	var got []line
	for e, err := range d.client.History(t.Context(), "soft:demo/3", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Vector.IsZero() {
			continue // of the whole source
		}
		l := line{Kind: e.Kind, PID: e.Holder.PID}
		if e.Refused != nil {
			l.Refuse = e.Refused.Code
		}
		got = append(got, l)
	}
	want := []line{{irq.EventConnected, holder.pid(), 0}, {irq.EventRefused, other.pid(), irq.ErrAlreadyConnected}, {irq.EventDisconnected, holder.pid(), 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
