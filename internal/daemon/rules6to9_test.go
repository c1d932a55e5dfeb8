package daemon

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

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
	case <-time.After(time.Minute):
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
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
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
	if a := again.granted(order{Do: "wait", Timeout: time.Minute}); !a.Interrupt.Rang || a.Interrupt.Count != 4 {
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
