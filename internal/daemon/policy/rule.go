package policy

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/irq"
)

// Access is the most that a rule grants.
type Access string

// The grants, each includes those before it.
const (
	AccessNone   Access = "none"   // nothing: a rule that refuses
	AccessRaise  Access = "raise"  // ring doorbells
	AccessIRQ    Access = "irq"    // connect
	AccessDevice Access = "device" // connect and have the device's descriptors
)

var accessKinds = []string{string(AccessNone), string(AccessRaise), string(AccessIRQ), string(AccessDevice)}

func (a Access) includes(b Access) bool {
	return slices.Index(accessKinds, string(a)) >= slices.Index(accessKinds, string(b))
}

// A Rule is one [[allow]], compiled.
type Rule struct {
	irq.Rule         // how refusals name it
	Vectors  []Glob  // any of them
	Who      []claim // all of them
	Access   Access
	Share    bool
	Quota    int // vectors at the same time for one user, or one unit if the rule names a unit; 0: the limit per user
	Hide     bool
}

// A claim is one thing that a rule wants of the caller.
type claim struct {
	kind string // unit, cgroup, uid, gid, anyone
	glob Glob
	id   int
	text string // as written
}

func (c claim) fits(s Subject) bool {
	switch c.kind {
	case "unit":
		return s.Unit != "" && c.glob.Match(s.Unit)
	case "cgroup":
		return s.Cgroup != "" && c.glob.Match(s.Cgroup)
	case "uid":
		return s.UID == c.id
	case "gid":
		return s.GID == c.id || slices.Contains(s.Groups, c.id)
	}
	return true // anyone
}

func (r *Rule) admits(s Subject) bool {
	for _, c := range r.Who {
		if !c.fits(s) {
			return false
		}
	}
	return true
}

// account names what a quota counts: this rule for one unit or one user.
func (r *Rule) account(s Subject) string {
	for _, c := range r.Who {
		if c.kind == "unit" {
			return r.Rule.String() + "\x00unit " + s.Unit
		}
	}
	return r.Rule.String() + "\x00uid " + strconv.Itoa(s.UID)
}

func compileRule(t allowTable, bad func(key, text string)) Rule {
	r := Rule{Access: AccessIRQ, Who: compileWho(t, bad)}
	if len(t.Vectors) == 0 {
		bad("", `an [[allow]] needs vectors = [ … ], patterns such as "pci:0000:3b:00.0/msix/*"`)
	}
	for i, v := range t.Vectors {
		g := Glob(v)
		if err := g.check(); err != nil {
			bad(fmt.Sprintf("vectors[%d]", i), err.Error())
		} else if !strings.ContainsAny(v, "*:") {
			bad(fmt.Sprintf("vectors[%d]", i), "no vector has such a name; write scheme:device/index, with * for anything")
		}
		r.Vectors = append(r.Vectors, g)
	}
	if access := oneOf(t.Access, accessKinds, "access", bad); access != nil {
		r.Access = Access(*access)
	}
	r.Share = t.Share != nil && *t.Share
	r.Hide = t.Hide != nil && *t.Hide
	if quota := inRange(t.Quota, 1, 1<<24, "quota", bad); quota != nil {
		r.Quota = *quota
	}
	if r.Hide && t.Access != nil && r.Access != AccessNone {
		bad("hide", `hide = true grants nothing: leave access out or say "none"`)
	}
	if r.Hide {
		r.Access = AccessNone
	}
	r.Text = r.text()
	return r
}

// text shows the rule on one line, much as it is written in the file.
func (r *Rule) text() string {
	parts := []string{fmt.Sprintf("vectors = %q", r.Vectors)}
	for _, c := range r.Who {
		parts = append(parts, c.text)
	}
	parts = append(parts, fmt.Sprintf("access = %q", r.Access))
	if r.Share {
		parts = append(parts, "share = true")
	}
	if r.Quota > 0 {
		parts = append(parts, "quota = "+strconv.Itoa(r.Quota))
	}
	if r.Hide {
		parts = append(parts, "hide = true")
	}
	return "[[allow]] " + strings.Join(parts, ", ")
}

// compileWho reads whom a rule is for. A rule that names nobody is a mistake and not one for everybody.
func compileWho(t allowTable, bad func(key, text string)) (who []claim) {
	for _, g := range []struct {
		key  string
		text *string
	}{{"unit", t.Unit}, {"cgroup", t.Cgroup}} {
		if g.text != nil {
			if err := Glob(*g.text).check(); err != nil {
				bad(g.key, err.Error())
			}
			who = append(who, claim{kind: g.key, glob: Glob(*g.text), text: g.key + " = " + strconv.Quote(*g.text)})
		}
	}
	if t.User != nil {
		who = append(who, named("user", "uid", *t.User, userID, bad))
	}
	if t.Group != nil {
		who = append(who, named("group", "gid", *t.Group, groupID, bad))
	}
	for _, n := range []struct {
		key string
		id  *int
	}{{"uid", t.UID}, {"gid", t.GID}} {
		if n.id != nil {
			inRange(n.id, 0, 1<<32-2, n.key, bad)
			who = append(who, claim{kind: n.key, id: *n.id, text: n.key + " = " + strconv.Itoa(*n.id)})
		}
	}
	if who == nil {
		bad("", `an [[allow]] needs whom it is for: unit, user, group, uid, gid or cgroup (user = "*" is everybody)`)
	}
	return who
}

// named makes a claim for the id behind a name; "*" is everybody.
func named(key, idKey, name string, resolve func(string) (int, error), bad func(key, text string)) claim {
	if name == "*" {
		return claim{kind: "anyone", text: key + ` = "*"`}
	}
	id, err := resolve(name)
	if err != nil {
		bad(key, fmt.Sprintf("this machine has no %s %q; write %s = NUMBER if that is on purpose", key, printable(name), idKey))
	}
	return claim{kind: idKey, id: id, text: key + " = " + strconv.Quote(name)}
}

func userID(name string) (int, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(u.Uid)
}

func groupID(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(g.Gid)
}

func inRange(value *int, low, high int, key string, bad func(key, text string)) *int {
	if value != nil && (*value < low || *value > high) {
		bad(key, fmt.Sprintf("%s must be from %d to %d", key, low, high))
	}
	return value
}
