package systemd

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

const doorbells = "[soft.demo]\nvectors = 64\nshareable = true\n[[allow]]\nvectors = [\"soft:*\"]\nuser = \"*\"\nshare = true\n"

// TestRule14RestartOfTheService: systemctl restart, systemd's own reload and an upgrade of the program release nobody. Ids and generations
// stay, who is rung while nobody serves is woken afterwards, and who stops the service releases all.
func TestRule14RestartOfTheService(t *testing.T) {
	on(t, "6.1")
	s := install(t, doorbells)
	if state := guest.Show(t, "ivtd.service", "ActiveState"); state != "inactive" {
		t.Errorf("before the first client the service is %s", state)
	}
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

	s.ringWhile(c, func() { guest.Systemctl(t, "restart", "ivtd.service") })
	holds("systemctl restart")
	before := s.stored()

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
	// Doorbells that were closed go out of the store when ivtd sees it and systemd gets to it.
	guest.Eventually(t, "no more descriptors in the store than before", func() bool { return s.stored() <= before })
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
	s.connect("soft:demo/1")
	if s.status().Instance == instance {
		t.Error("the next client of the socket is served by the registry that was stopped")
	}
}

// ringWhile rings a doorbell ten times a second while do runs.
func (s *installed) ringWhile(c *ivt.Connection, do func()) {
	s.Helper()
	rings := 0
	bell, err := s.client.OpenDoorbell(s.ctx(), c.Vectors()[0].String())
	if err != nil {
		s.Fatal(err)
	}
	defer bell.Close()
	stop, failed := make(chan struct{}), make(chan error)
	go func() {
		pause := time.NewTicker(100 * time.Millisecond)
		defer pause.Stop()
		for {
			if err := bell.Ring(1); err != nil {
				failed <- err
				return
			}
			rings++
			select {
			case <-pause.C:
			case <-stop:
				close(failed)
				return
			}
		}
	}()
	do()
	close(stop)
	if err := <-failed; err != nil {
		s.Fatalf("ring %d: %v", rings+1, err)
	}
	s.Logf("%d rings meanwhile", rings)
}
