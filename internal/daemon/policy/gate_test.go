package policy

import (
	"errors"
	"sync"
	"testing"

	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/source"
)

const sample = `
[[allow]]
vectors = ["soft:secret/*"]
user = "*"
hide = true

[[allow]]
vectors = ["pci:0000:3b:00.0/msix/*"]
unit = "nic-worker@*.service"
quota = 4

[[allow]]
vectors = ["pci:0000:3b:00.0/*"]
user = "*"
access = "none"

[[allow]]
vectors = ["pci:*", "gpio:*"]
gid = 44
share = true
access = "device"

[[allow]]
vectors = ["soft:bells/*"]
uid = 1001
access = "raise"
`

func load(t testing.TB, text string) *Policy {
	t.Helper()
	p, problems := compile([]part{{"p.toml", []byte(text)}}, 500)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return p
}

// TestFirstRuleDecides: visibility, then the first rule that fits both the vector and the caller.
func TestFirstRuleDecides(t *testing.T) {
	var live Live
	live.Store(load(t, sample))
	owner, root := Subject{UID: 500, GID: 500}, Subject{}
	unit := Subject{UID: 1000, GID: 1000, Unit: "nic-worker@1.service"}
	group := Subject{UID: 1000, GID: 1000, Groups: []int{4, 44}}
	nobody := Subject{UID: 1001, GID: 1001}
	for _, c := range []struct {
		who     Subject
		vector  string
		request irq.Request
		hidden  bool
		line    int // of the refusing rule; -1 allowed, 0 no rule of a file
		quota   int
	}{
		{who: nobody, vector: "soft:secret/1", hidden: true, line: 2},
		{who: root, vector: "soft:secret/1", line: 2},
		{who: owner, vector: "soft:other/1", line: -1},
		{who: nobody, vector: "soft:other/1", line: 0},
		{who: unit, vector: "pci:0000:3b:00.0/msix/2", line: -1, quota: 4},
		{who: unit, vector: "pci:0000:3b:00.0/intx/0", line: 12},
		{who: unit, vector: "pci:0000:3b:00.0/msix/2", request: irq.Request{Shared: true}, line: 7},
		{who: unit, vector: "pci:0000:3b:00.0/msix/2", request: irq.Request{Access: irq.AccessDevice}, line: 7},
		{who: group, vector: "pci:0000:3b:00.0/msix/2", line: 12},
		{who: group, vector: "pci:0000:3c:00.0/msix/2", request: irq.Request{Access: irq.AccessDevice}, line: -1, quota: 65536},
		{who: group, vector: "gpio:gpiochip0/17", request: irq.Request{Shared: true}, line: -1, quota: 65536},
		{who: nobody, vector: "soft:bells/0", line: 23},
		{who: nobody, vector: "gpio:gpiochip0/17", line: 0},
	} {
		v, err := irq.ParseVector(c.vector)
		if err != nil {
			t.Fatal(err)
		}
		g := live.Gate(c.who)
		if g.Visible(v) == c.hidden {
			t.Errorf("%v sees %v: %v", c.who, v, !c.hidden)
		}
		_, quota, err := g.Allow(v, &c.request)
		line := -1
		if e := (*irq.Error)(nil); errors.As(err, &e) {
			line = e.Rule.Line
			if !errors.Is(err, irq.ErrAccessDenied) || e.Rule.Text == "" || len(e.Remedies) == 0 || e.Vector != v {
				t.Errorf("refusal without what it needs: %+v", e)
			}
		}
		if line != c.line || quota != c.quota {
			t.Errorf("%v asks for %v %+v: rule of line %d, quota %d, want %d, %d (%v)", c.who, v, c.request, line, quota, c.line, c.quota, err)
		}
	}
}

func TestRaiseNeedsLess(t *testing.T) {
	var live Live
	live.Store(load(t, sample))
	g := live.Gate(Subject{UID: 1001})
	if err := g.AllowRaise(irq.Vector{Source: "soft:bells"}, "raise"); err != nil {
		t.Error(err)
	}
	if err := g.AllowRaise(irq.Vector{Source: "soft:other"}, "raise"); !errors.Is(err, irq.ErrAccessDenied) {
		t.Errorf("got %v", err)
	}
}

// TestQuotaAccounts: a rule for a unit counts the unit, any other the user, each rule on its own.
func TestQuotaAccounts(t *testing.T) {
	var live Live
	live.Store(load(t, "[[allow]]\nvectors=[\"soft:a/*\"]\nunit=\"u@*.service\"\nquota=2\n[[allow]]\nvectors=[\"soft:b/*\"]\nuser=\"*\"\nquota=2\n"))
	account := func(s Subject, v string) string {
		t.Helper()
		a, quota, err := live.Gate(s).Allow(irq.Vector{Source: v}, &irq.Request{})
		if err != nil || quota != 2 {
			t.Fatal(quota, err)
		}
		return a
	}
	one, two := Subject{UID: 1, Unit: "u@1.service"}, Subject{UID: 1, Unit: "u@2.service"}
	if account(one, "soft:a") == account(two, "soft:a") {
		t.Error("two units share an account")
	}
	if account(one, "soft:b") != account(two, "soft:b") {
		t.Error("one user has two accounts under one rule")
	}
	if account(one, "soft:a") == account(one, "soft:b") {
		t.Error("two rules share an account")
	}
}

// TestSwapIsAtomic: a gate that lives across a reload answers by the old policy or the new one.
func TestSwapIsAtomic(t *testing.T) {
	var live Live
	allows, denies := load(t, "[[allow]]\nvectors=[\"soft:*\"]\nuser=\"*\"\n"), load(t, "")
	live.Store(allows)
	g := live.Gate(Subject{UID: 9})
	var wait sync.WaitGroup
	wait.Go(func() {
		for range 1000 {
			live.Store(denies)
			live.Store(allows)
		}
	})
	for range 1000 {
		if _, _, err := g.Allow(irq.Vector{Source: "soft:x"}, &irq.Request{}); err != nil && !errors.Is(err, irq.ErrAccessDenied) {
			t.Error(err)
		}
	}
	wait.Wait()
	live.Store(denies)
	if _, _, err := g.Allow(irq.Vector{Source: "soft:x"}, &irq.Request{}); !errors.Is(err, irq.ErrAccessDenied) {
		t.Errorf("the old policy still answers: %v", err)
	}
}

func TestDeviceMatches(t *testing.T) {
	nic := source.Found{Name: "pci:0000:3b:00.0", Path: "/sys/devices/pci0000:3a/0000:3b:00.0", Attrs: map[string]string{"vendor": "0x8086", "device": "0x10d3", "driver": "vfio-pci", "class": "0x020000"}}
	for _, c := range []struct {
		match string
		want  bool
	}{
		{`vendor = "8086", device = "10D3"`, true}, {`vendor = "8086", device = "10d4"`, false}, {`path = "*/0000:3b:00.0"`, true},
		{`name = "pci:0000:3b:*"`, true}, {`driver = "vfio-*"`, true}, {`class = "0200*"`, true}, {`chip = "*"`, false},
	} {
		p := load(t, "[[device]]\nmatch = { "+c.match+" }\n")
		if got := p.Devices[0].Matches(nic); got != c.want {
			t.Errorf("%s matches %v: %v", c.match, nic.Name, got)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		glob Glob
		s    string
		want bool
	}{
		{"*", "", true}, {"a*c", "abbc", true}, {"a*c", "abb", false}, {"a?c", "abc", true}, {"a?c", "ac", false}, {"pci:*", "pci:0000:3b:00.0/msix/2", true},
		{"*/2", "pci:x/msix/2", true}, {"*/2", "pci:x/msix/22", false}, {"**a**", "bab", true}, {"a", "ab", false},
	} {
		if got := c.glob.Match(c.s); got != c.want {
			t.Errorf("%q on %q: %v", c.glob, c.s, got)
		}
	}
}
