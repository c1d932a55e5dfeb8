package daemon

import (
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// TestHiddenIsNotThere: what policy hides from a user is in no list, status, lookup, watch or history of that user; who may see
// it sees it.
func TestHiddenIsNotThere(t *testing.T) {
	d := serve(t, "[soft.open]\nvectors=2\n[soft.secret]\nvectors=2\n[[allow]]\nvectors=[\"soft:secret/*\"]\ngid=4242\nhide=true\n[[allow]]\nvectors=[\"soft:*\"]\nuser=\"*\"\n")
	guest := startDriver(t, d.socket, asUser(t, 4241, 4242))
	watched := startDriver(t, d.socket, asUser(t, 4241, 4242))
	watched.begin(order{Do: "watch", Vectors: []string{"soft:open/1"}})
	eventually(t, "it watches", func() bool {
		d.users.mu.Lock()
		defer d.users.mu.Unlock()
		u := d.users.all[4241]
		return u != nil && u.watchers == 1
	})
	d.connect("soft:secret/0")
	d.connect("soft:open/0")
	d.connect("soft:open/1") // ends the watching
	for _, what := range []order{{Do: "list"}, {Do: "history"}, {Do: "status"}} {
		a := guest.granted(what)
		if len(a.Names) == 0 {
			t.Errorf("%s shows nothing", what.Do)
		}
		for _, name := range a.Names {
			if len(name) >= 11 && name[:11] == "soft:secret" {
				t.Errorf("%s shows %s", what.Do, name)
			}
		}
	}
	if a := guest.granted(order{Do: "status"}); !slices.Equal(a.Names, []string{"soft:open", "2 vectors, 2 connections"}) {
		t.Errorf("status has %q", a.Names)
	}
	a, refusal := watched.answer()
	if refusal != nil || len(a.Names) == 0 {
		t.Fatal(a, refusal)
	}
	for _, name := range a.Names {
		if name == "soft:secret/0" || name == "soft:secret" {
			t.Errorf("watch shows %s", name)
		}
	}
	for _, what := range []order{{Do: "lookup", Vectors: []string{"soft:secret/0"}}, {Do: "list", Vectors: []string{"soft:secret"}}, {Do: "ring", Vectors: []string{"soft:secret/0"}}} {
		_, refusal := guest.do(what)
		refused(t, refusal, irq.ErrNoSuchDevice)
	}
	if i, err := d.client.Lookup(t.Context(), "soft:secret/0"); err != nil || i.State != irq.StateConnected {
		t.Errorf("the administrator sees %+v, %v", i, err)
	}
}

// TestSupplementaryGroups count: SO_PEERCRED alone does not have them.
func TestSupplementaryGroups(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=8\n[[allow]]\nvectors=[\"soft:*\"]\ngid=4299\n")
	user := asUser(t, 4241, 4242)
	_, refusal := startDriver(t, d.socket, user).do(order{Do: "connect", Vectors: []string{"soft:demo/1"}})
	refused(t, refusal, irq.ErrAccessDenied)
	startDriver(t, d.socket, func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4241, Gid: 4242, Groups: []uint32{4298, 4299}}}
	}).connect("soft:demo/1")
}

// TestDoorbellsAreCounted: by user, each once, until the process that has them dies.
func TestDoorbellsAreCounted(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=8\n[limits]\ndoorbells_per_user=2\n[[allow]]\nvectors=[\"soft:*\"]\ngid=4242\naccess=\"raise\"\n")
	holder := d.connect("soft:demo/1", ivt.Label("own user"))
	one, two := startDriver(t, d.socket, asUser(t, 4241, 4242)), startDriver(t, d.socket, asUser(t, 4241, 4242))
	for range 3 {
		one.granted(order{Do: "ring", Vectors: []string{"soft:demo/1"}})
	}
	one.granted(order{Do: "ring", Vectors: []string{"soft:demo/2"}})
	_, refusal := two.do(order{Do: "ring", Vectors: []string{"soft:demo/3"}})
	if e := refused(t, refusal, irq.ErrNoResources); e.Reason != irq.ReasonQuota {
		t.Errorf("reason %s", e.Reason)
	}
	_, refusal = two.do(order{Do: "connect", Vectors: []string{"soft:demo/3"}})
	refused(t, refusal, irq.ErrAccessDenied) // who may ring may not connect
	if i := wait(t, holder); i.Count == 0 {
		t.Errorf("%+v", i)
	}
	one.kill()
	eventually(t, "given back", func() bool {
		_, refusal := two.do(order{Do: "ring", Vectors: []string{"soft:demo/3"}})
		return refusal == nil
	})
}
