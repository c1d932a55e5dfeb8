package systemd

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// A crowd is connections that must survive what happens to systemd and to ivtd.
type crowd struct {
	*installed
	all      []*ivt.Connection
	instance string
}

func gather(s *installed, n int) *crowd {
	c := &crowd{installed: s}
	for i := range n {
		c.all = append(c.all, s.connect(fmt.Sprintf("soft:demo/%d", i)))
	}
	c.instance = s.status().Instance
	return c
}

// holds checks that each is there, alive and alone.
func (c *crowd) holds(after string) {
	c.Helper()
	if got := c.status().Instance; got != c.instance {
		c.Fatalf("after %s another registry serves: %s, was %s", after, got, c.instance)
	}
	for _, k := range c.all {
		c.delivers(k)
		var refusal *irq.Error
		_, err := c.client.Connect(c.ctx(), k.Vectors()[0].String())
		if !errors.As(err, &refusal) || refusal.Code != irq.ErrAlreadyConnected || refusal.Conflicts[0].Holders[0].Connection != k.ID() {
			c.Errorf("after %s %s is held by %s, and a second one is told %v", after, k.Vectors(), k.ID(), err)
		}
	}
}

// TestRule14SystemdIsReplaced: systemd that reads its units again, or executes itself anew as an upgrade of it does, keeps what ivtd
// stored with it: nobody is released by that, nor by the kill of the keeper that comes after.
func TestRule14SystemdIsReplaced(t *testing.T) {
	on(t, "7")
	c := gather(install(t, doorbells), 3)
	worker, stored := c.worker(), c.stored()
	for _, what := range []string{"daemon-reexec", "daemon-reload"} {
		guest.Systemctl(t, what)
		c.holds(what)
	}
	if now := c.worker(); now != worker || c.stored() < stored {
		t.Errorf("the worker was %d and is %d; %d descriptors were stored, and are %d", worker, now, stored, c.stored())
	}
	c.kill(c.keeper(), syscall.SIGKILL)
	for _, k := range c.all {
		c.rung(k)
	}
	c.holds("daemon-reexec and kill -9 of the keeper")
}

// TestRule14OutOfMemory: the kernel kills the worker, and then the keeper, because ivtd has reached its limit of memory. That is kill -9:
// when there is memory again everybody has what it had, and is rung.
func TestRule14OutOfMemory(t *testing.T) {
	on(t, "6.12")
	c := gather(install(t, doorbells, "[Service]\nMemoryAccounting=yes\n"), 6)
	limit := func(most string) {
		guest.Systemctl(t, "set-property", "--runtime", "ivtd.service", "MemoryMax="+most)
	}
	limit("8M")
	killed := func() int { return len(c.journal("killed by the OOM killer")) }
	guest.Eventually(t, "two kills for want of memory", func() bool { return killed() >= 2 })
	limit("infinity")
	for _, k := range c.all {
		c.rung(k)
	}
	c.holds("kills for want of memory")
	t.Logf("%d kills for want of memory; %d times the keeper replaced the worker", killed(), len(c.journal("the worker died")))
	for _, k := range c.all {
		if err := k.Err(); err != nil {
			t.Errorf("%s was lost: %v", k.ID(), err)
		}
	}
}
