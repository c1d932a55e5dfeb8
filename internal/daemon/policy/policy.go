package policy

import (
	"fmt"
	"strings"

	"github.com/ivtd/ivt/irq"
)

// A Policy is what the files say, checked and compiled. It never changes.
type Policy struct {
	Softs          []Soft
	Devices        []Device
	Rules          []Rule // in order; the first that fits decides
	Limits         Limits
	RevokeOnReload bool     // after a reload connections that would be refused now are revoked
	Files          []string // that were read, in order; none: the built-in policy
	owner          int      // ivtd's own user
	hides          bool     // some rule hides vectors
}

// A Subject is who asks, as the kernel names it.
type Subject struct {
	UID, GID int
	Groups   []int  // supplementary
	Unit     string // system unit, "" if none
	Cgroup   string // full path
}

// Administrator reports whether s may take from others: root and ivtd's own user.
func (p *Policy) Administrator(s Subject) bool { return s.UID == 0 || s.UID == p.owner }

// Default is the policy without any file: soft:demo with 64 doorbells for ivtd's own user, devices for root.
func Default(owner int) *Policy {
	p := &Policy{Limits: DefaultLimits(), owner: owner}
	p.Softs = []Soft{{Name: "soft:demo", Settings: map[string]any{"vectors": 64, "shareable": true}}}
	p.Rules = append(p.Rules, ownRule(owner), rootRule())
	return p
}

// ownRule stands behind all others: whoever runs ivtd has its doorbells.
func ownRule(owner int) Rule {
	return Rule{
		Rule: irq.Rule{Text: fmt.Sprintf("built in: soft:* for ivtd's own user, uid %d", owner)}, Vectors: []Glob{"soft:*"},
		Who: []claim{{kind: "uid", id: owner}}, Access: AccessDevice, Share: true,
	}
}

func rootRule() Rule {
	return Rule{
		Rule: irq.Rule{Text: "built in: without a policy file devices are for root"}, Vectors: []Glob{"*"},
		Who: []claim{{kind: "uid", id: 0}}, Access: AccessDevice, Share: true,
	}
}

// noRule is named in a refusal where nothing fits.
func (p *Policy) noRule() *irq.Rule {
	if len(p.Files) == 0 {
		return &irq.Rule{Text: "built in: there is no policy file, and without one nothing is allowed to this user"}
	}
	return &irq.Rule{Text: "built in: what no [[allow]] in " + strings.Join(p.Files, ", ") + " allows is denied"}
}

// candidates are the rules that fit the caller; the vector is compared later.
func (p *Policy) candidates(s Subject) (rules []*Rule) {
	for i := range p.Rules {
		if p.Rules[i].admits(s) {
			rules = append(rules, &p.Rules[i])
		}
	}
	return rules
}

// Wanted returns how the policy wants a device, and whether it does: the first [[device]] that matches.
func (p *Policy) Wanted(matches func(*Device) bool) (*Device, bool) {
	for i := range p.Devices {
		if matches(&p.Devices[i]) {
			return &p.Devices[i], true
		}
	}
	return nil, false
}

// Summary says in one line what the policy is.
func (p *Policy) Summary() string {
	from := "built in"
	if len(p.Files) > 0 {
		from = strings.Join(p.Files, ", ")
	}
	count := func(n int, one, more string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprint(n, " ", more)
	}
	own := 0
	for i := range p.Rules {
		if p.Rules[i].File != "" {
			own++
		}
	}
	return fmt.Sprintf("%s and %d built in, %s, %s (%s)", count(own, "rule", "rules"), len(p.Rules)-own,
		count(len(p.Devices), "device match", "device matches"), count(len(p.Softs), "group of doorbells", "groups of doorbells"), from)
}
