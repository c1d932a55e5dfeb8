package systemd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// kills is how often the keeper is killed: IVT_TEST_KILLS=60 make test-vm KERNEL=6.12 PKG=./test/vm/systemd RUN=Kills V=1 TIMEOUT=30m is the long form.
func kills(t *testing.T) int {
	text := os.Getenv("IVT_TEST_KILLS")
	if text == "" {
		return 4
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("IVT_TEST_KILLS: %v", err)
	}
	return n
}

// killing is what one run did.
type killing struct {
	*installed
	device          *ivt.Connection
	edu             guest.Edu
	held            map[int]*ivt.Connection // doorbells by number
	connects, wakes int

	keepers, starting, workers int // killed
	violations                 []string
	back                       []time.Duration // from the kill to an answer
}

func (k *killing) violation(format string, args ...any) {
	k.violations = append(k.violations, fmt.Sprintf(format, args...))
}

// TestRule14KillsOfTheKeeper: kill -9 of the process that systemd knows, again and again, just after it was asked for something,
// and while it starts. What was granted stays granted, a device interrupt that comes while nobody serves reaches its driver, every
// holder is woken afterwards, nobody else gets the vector.
func TestRule14KillsOfTheKeeper(t *testing.T) {
	on(t, "6.12")
	address := guest.Device(t, "edu0")
	guest.Bind(t, address, "vfio-pci")
	permit(t)
	s := install(t, doorbells+fmt.Sprintf("[[device]]\nmatch = { name = \"pci:%s\" }\n[[allow]]\nvectors = [\"pci:*\"]\nuser = \"root\"\n", address))
	k := &killing{installed: s, held: map[int]*ivt.Connection{}}
	k.device, k.edu = s.connect("pci:"+address+"/msi/0"), guest.OpenEdu(t, address)
	instance := s.status().Instance
	n := kills(t)
	defer k.print()
	for range n {
		k.change()
		k.round(s.keeper())
		k.keepers++
	}
	k.fast(max(6, 2*n/5))
	for range n / 2 {
		k.change()
		k.round(s.worker())
		k.workers++
	}
	if got := s.status().Instance; got != instance {
		k.violation("another registry serves")
	}
	for _, v := range k.violations {
		t.Error(v)
	}
}

// print says how far it got, also when it failed.
func (k *killing) print() {
	if slices.Sort(k.back); len(k.back) == 0 {
		return
	}
	k.Logf("%d kills of the keeper, %d of one that was starting, %d of the worker; %d connects, %d final wakes; back after %v at best, %v in the middle, %v at worst; %d violations",
		k.keepers, k.starting, k.workers, k.connects, k.wakes, k.back[0], k.back[len(k.back)/2], k.back[len(k.back)-1], len(k.violations))
}

// change lets one doorbell go and takes two others: when the kill comes the keeper may not have heard of it.
func (k *killing) change() {
	for n, c := range k.held {
		if err := c.Disconnect(k.ctx()); err != nil {
			k.violation("disconnect: %v", err)
		}
		delete(k.held, n)
		break
	}
	for n := range 64 {
		if k.held[n] != nil {
			continue
		}
		k.held[n] = k.connect(fmt.Sprintf("soft:demo/%d", n))
		k.connects++
		if len(k.held)%3 == 0 {
			break
		}
	}
}

// round kills one of the two, and checks everything.
func (k *killing) round(pid int) {
	k.Helper()
	start, before := time.Now(), k.worker()
	k.kill9(pid)
	k.edu.Raise(1)
	for i := uint64(0); i == 0; { // the kernel writes the eventfd, whoever runs; the ring that follows is in its count, too
		i = k.wait(k.device).Count
	}
	k.edu.Ack(1)
	k.wakes++
	k.succeeded(before)
	k.status()
	k.back = append(k.back, time.Since(start))
	k.check()
}

// succeeded returns when a worker is dead and another one there: a dying one may still answer.
func (k *killing) succeeded(before int) {
	k.Helper()
	guest.Eventually(k, fmt.Sprintf("another worker in place of %d", before), func() bool { now := k.worker(); return now != 0 && now != before })
}

func (k *killing) kill9(pid int) {
	if pid == 0 {
		k.Fatal("nobody runs")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		k.Fatal(err)
	}
}

func (k *killing) check() {
	k.Helper()
	for n, c := range k.held {
		vector := fmt.Sprintf("soft:demo/%d", n)
		k.rung(c)
		k.wakes++
		k.delivers(c)
		var refusal *irq.Error
		if _, err := k.client.Connect(k.ctx(), vector); !errors.As(err, &refusal) || refusal.Code != irq.ErrAlreadyConnected || refusal.Conflicts[0].Holders[0].Connection != c.ID() {
			k.violation("%s is held by %s, and a second one is told %v", vector, c.ID(), err)
		}
		if err := c.Err(); err != nil {
			k.violation("%s was lost: %v", vector, err)
		}
	}
}

// fast kills every keeper as soon as there is one: systemd must go on starting it (StartLimitIntervalSec=0), and the store must
// outlive starts that came to nothing.
func (k *killing) fast(n int) {
	k.Helper()
	before := k.worker()
	for range n {
		pid := 0
		guest.Eventually(k, "systemd starts it again", func() bool { pid = k.keeper(); return pid != 0 })
		k.kill9(pid)
		k.starting++
		guest.Eventually(k, "it is dead", func() bool { return k.keeper() != pid })
	}
	k.succeeded(before)
	k.status()
	k.check()
}

// TestWatchdog: a worker that no longer answers is noticed by systemd, and is another one's matter.
func TestWatchdog(t *testing.T) {
	on(t, "7")
	s := install(t, doorbells, "[Service]\nWatchdogSec=2s\n")
	c := s.connect("soft:demo/1")
	s.kill(s.worker(), syscall.SIGSTOP)
	s.rung(c)
	s.delivers(c)
	if len(s.journal("Watchdog timeout")) == 0 {
		t.Error("systemd says nothing of its watchdog")
	}
}

// TestStoreThatIsTooSmall: what the descriptor store has no room for survives the worker and not the keeper. That is said when it
// happens; afterwards its holders are told, and everybody else stays.
func TestStoreThatIsTooSmall(t *testing.T) {
	on(t, "7")
	if strings.HasPrefix(guest.Systemctl(t, "--version"), "systemd 252") {
		t.Skip("only systemd 254 and later tells a service how much it stores; try: without IVT_TEST_SYSTEMD")
	}
	s := install(t, doorbells, "[Service]\nFileDescriptorStoreMax=9\n")
	first := s.connect("soft:demo/1")
	one := s.stored()
	var rest []*ivt.Connection
	for n := range 8 {
		rest = append(rest, s.connect(fmt.Sprintf("soft:demo/%d", n+2)))
	}
	last := rest[len(rest)-1]
	guest.Eventually(t, "the log says that it is full", func() bool { return len(s.journal("the descriptor store is full")) > 0 })
	s.kill(s.worker(), syscall.SIGKILL)
	s.rung(first)
	s.rung(last)
	s.kill(s.keeper(), syscall.SIGKILL)
	<-last.Done()
	if err := last.Err(); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("the last one ended with %v", err)
	}
	s.rung(first)
	s.delivers(first)
	t.Logf("systemd keeps %d descriptors with one connection to a doorbell, %d when the store is full", one, s.stored())
	s.connect("soft:demo/60")
}
