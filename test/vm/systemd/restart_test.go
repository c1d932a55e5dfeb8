package systemd

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

const doorbells = "[soft.demo]\nvectors = 64\nshareable = true\n[[allow]]\nvectors = [\"soft:*\"]\nuser = \"*\"\nshare = true\n"

// TestRule14RestartOfTheService: systemctl restart, systemd's own reload and an upgrade of the program release nobody. Ids and generations
// stay, a doorbell that is rung while nobody serves arrives, and who stops the service releases all.
func TestRule14RestartOfTheService(t *testing.T) {
	on(t, "6.1")
	s := install(t, doorbells)
	c, shared, many := s.connect("soft:demo/1"), s.connect("soft:demo/2", ivt.Shared()), s.connect("soft:demo/3", ivt.Grace(60e9))
	instance := s.status().Instance
	all := []*ivt.Connection{c, shared, many}
	holds := func(after string) {
		t.Helper()
		if got := s.status().Instance; got != instance {
			t.Fatalf("after %s another registry serves: %s, was %s", after, got, instance)
		}
		for _, c := range all {
			s.rung(c)
			s.delivers(c)
			info, err := s.client.Lookup(s.ctx(), c.Vectors()[0].String())
			if err != nil || len(info.Holders) != 1 || info.Holders[0].Connection != c.ID() || info.Holders[0].PID != os.Getpid() {
				t.Errorf("after %s: %+v, %v; want %s", after, info.Holders, err, c.ID())
			}
		}
		if _, err := s.client.Connect(s.ctx(), "soft:demo/1"); !errors.Is(err, irq.ErrAlreadyConnected) {
			t.Errorf("after %s a second one is told %v", after, err)
		}
	}
	before := s.stored()

	guest.Systemctl(t, "restart", "ivtd.service")
	holds("systemctl restart")

	guest.Systemctl(t, "daemon-reload")
	s.kill(s.keeper(), syscall.SIGKILL)
	holds("daemon-reload and kill -9 of the keeper")

	copyFile(t, "/work/bin/ivtd", "/usr/sbin/ivtd", 0o755)
	keeper := s.keeper()
	s.kill(keeper, syscall.SIGUSR2)
	holds("an upgrade in place")
	if now := s.keeper(); now != keeper {
		t.Errorf("the keeper was %d and is %d", keeper, now)
	}
	if after := s.stored(); after != before {
		t.Errorf("%d descriptors are in the store, before there were %d", after, before)
	}
	for _, line := range s.journal("level=ERROR") {
		t.Errorf("the journal says %s", line)
	}

	guest.Systemctl(t, "stop", "ivtd.service")
	for _, c := range all {
		<-c.Done()
		if err := c.Err(); !errors.Is(err, irq.ErrNotConnected) {
			t.Errorf("after systemctl stop %s ended with %v", c.ID(), err)
		}
	}
}
