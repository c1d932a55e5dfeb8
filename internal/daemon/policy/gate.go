package policy

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/ivtd/ivt/irq"
)

// A Live is the policy in force. Reload is one atomic swap: each question is answered by one policy, old or new.
type Live struct{ p atomic.Pointer[Policy] }

// Store puts a policy into force.
func (l *Live) Store(p *Policy) { l.p.Store(p) }

// Load returns the policy in force.
func (l *Live) Load() *Policy { return l.p.Load() }

// Gate is what the registry asks about one caller. It always answers by the policy in force.
func (l *Live) Gate(s Subject) *Gate { return &Gate{live: l, subject: s} }

// A Gate is an irq.Gate for one caller. It may be used from several goroutines.
type Gate struct {
	live    *Live
	subject Subject
	cache   atomic.Pointer[decided]
}

// decided are the rules of one policy that fit the caller.
type decided struct {
	policy *Policy
	rules  []*Rule
}

var _ irq.Gate = (*Gate)(nil)

func (g *Gate) decided() *decided {
	p := g.live.Load()
	if d := g.cache.Load(); d != nil && d.policy == p {
		return d
	}
	d := &decided{p, p.candidates(g.subject)}
	g.cache.Store(d)
	return d
}

// rule is the one that decides about a vector, nil if none fits.
func (d *decided) rule(vector string) *Rule {
	for _, r := range d.rules {
		if anyMatch(r.Vectors, vector) {
			return r
		}
	}
	return nil
}

// Subject is whom the gate is for.
func (g *Gate) Subject() Subject { return g.subject }

// SeesAll is true if nothing at all is hidden from the caller.
func (g *Gate) SeesAll() bool {
	d := g.decided()
	return !d.policy.hides || d.policy.Administrator(g.subject)
}

// Visible is false for what a rule with hide = true hides from the caller; not from administrators.
func (g *Gate) Visible(v irq.Vector) bool {
	d := g.decided()
	if !d.policy.hides || d.policy.Administrator(g.subject) {
		return true
	}
	r := d.rule(v.String())
	return r == nil || !r.Hide
}

// Allow says whether the caller may connect to v, and which account it counts against.
func (g *Gate) Allow(v irq.Vector, q *irq.Request) (account string, quota int, err error) {
	d := g.decided()
	r := d.rule(v.String())
	want := AccessIRQ
	if q.Access == irq.AccessDevice {
		want = AccessDevice
	}
	switch {
	case r == nil:
		return "", 0, g.refuse(d.policy, q.Operation, v, nil, "no rule allows it to "+g.subject.String())
	case !r.Access.includes(want):
		return "", 0, g.refuse(d.policy, q.Operation, v, r, fmt.Sprintf("the rule grants access %q and %q was asked for", r.Access, want))
	case q.Shared && !r.Share:
		return "", 0, g.refuse(d.policy, q.Operation, v, r, "the rule does not say share = true")
	case r.Quota > 0:
		return r.account(g.subject), r.Quota, nil
	case d.policy.Limits.VectorsPerUser > 0 && !d.policy.Administrator(g.subject):
		return "uid " + strconv.Itoa(g.subject.UID), d.policy.Limits.VectorsPerUser, nil
	}
	return "", 0, nil
}

// Explicit refuses v only if a rule names it and grants no connecting: for vectors that ivtd cannot grant
// to anybody, whose holder every user can read in /proc/interrupts.
func (g *Gate) Explicit(v irq.Vector, operation string) *irq.Error {
	d := g.decided()
	if r := d.rule(v.String()); r != nil && !r.Access.includes(AccessIRQ) {
		return g.refuse(d.policy, operation, v, r, fmt.Sprintf("the rule grants access %q", r.Access))
	}
	return nil
}

// AllowRaise says whether the caller may ring v.
func (g *Gate) AllowRaise(v irq.Vector, operation string) error {
	d := g.decided()
	switch r := d.rule(v.String()); {
	case r == nil:
		return g.refuse(d.policy, operation, v, nil, "no rule allows it to "+g.subject.String())
	case !r.Access.includes(AccessRaise):
		return g.refuse(d.policy, operation, v, r, fmt.Sprintf("the rule grants access %q", r.Access))
	}
	return nil
}

func (g *Gate) refuse(p *Policy, operation string, v irq.Vector, r *Rule, detail string) *irq.Error {
	rule := p.noRule()
	if r != nil {
		rule = &irq.Rule{Text: r.Text, File: r.File, Line: r.Line}
	}
	return &irq.Error{
		Code: irq.ErrAccessDenied, Operation: operation, Vector: v, Reason: irq.ReasonDenied, Detail: detail, Rule: rule,
		Remedies: []string{
			fmt.Sprintf("let the administrator allow it in the policy, before any rule that refuses: [[allow]] vectors = [%q] %s", v.String(), g.subject.rule()),
			"after a change: ivtd --check-config, then reload ivtd (SIGHUP)",
		},
	}
}

// String names the caller as refusals do: "uid 1000 (unit nicd.service)".
func (s Subject) String() string {
	text := "uid " + strconv.Itoa(s.UID)
	if s.Unit != "" {
		text += " in unit " + s.Unit
	}
	return text
}

// rule is how a policy names the caller.
func (s Subject) rule() string {
	if s.Unit != "" {
		return fmt.Sprintf("unit = %q", s.Unit)
	}
	return "uid = " + strconv.Itoa(s.UID)
}
