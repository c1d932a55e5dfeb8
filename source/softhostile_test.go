//go:build linux

package source

import (
	"errors"
	"math"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
)

func TestGarbageHarmsOnlyItsSender(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	g := b.connect(softVector(0))
	bell := b.doorbell(softVector(0), raiser)
	for _, bad := range [][]byte{{1}, make([]byte, 7), make([]byte, 9), make([]byte, 4096), record.AppendBell(nil, 0)} {
		if err := kernel.Send(bell, bad); err != nil {
			t.Fatal(err)
		}
		if err := kernel.Send(g.FD, bad); err != nil {
			t.Fatal(err)
		}
	}
	ring(t, bell, math.MaxUint64)
	if r := g.next(); r.Count != record.MaxBell {
		t.Errorf("got %+v", r)
	}
}

// A descriptor that comes with a record never reaches us; who sends one where the kernel cannot refuse it
// is not listened to any more.
func TestUninvitedDescriptors(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	g := b.connect(softVector(0))
	bell := b.doorbell(softVector(0), raiser)
	refused := unix.Sendmsg(bell, record.AppendBell(nil, 1), unix.UnixRights(bell), nil, 0)
	if refused == nil {
		eventually(t, "the doorbell ends", func() bool { return errors.Is(kernel.Send(bell, nil), syscall.EPIPE) })
	} else if refused != syscall.EPERM {
		t.Fatal(refused)
	}
	ring(t, b.doorbell(softVector(0), raiser), 1)
	if r := g.next(); r.Count != 1 {
		t.Errorf("got %+v", r)
	}
}

// The same as on a kernel that cannot refuse descriptors: we look before we take.
func TestInletLooksBeforeItTakes(t *testing.T) {
	leakFree(t)
	in, theirs, err := newInlet(streamQueue, false)
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close(theirs)
	if err := unix.SetsockoptInt(in.fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 1); err != nil && err != syscall.ENOPROTOOPT {
		t.Fatal(err)
	}
	in.refuses = false
	for i := range batchLimit + 1 {
		ring(t, theirs, uint64(i+1))
	}
	if err := unix.Sendmsg(theirs, []byte("x"), unix.UnixRights(theirs), nil, 0); err != nil {
		t.Fatal(err)
	}
	ring(t, theirs, 1000)
	got, b := 0, kernel.NewBatch()
	if !in.receive(b, func([]byte) { got++ }) || got != batchLimit {
		t.Errorf("the first turn took %d", got)
	}
	if in.receive(b, func([]byte) { got++ }) || got != batchLimit+1 || !in.hostile {
		t.Errorf("the second turn brought it to %d, hostile %t", got, in.hostile)
	}
	fd := in.fd
	in.close()
	if err := kernel.Send(theirs, nil); err != syscall.EPIPE && err != syscall.ECONNRESET {
		t.Errorf("after the end: %v", err)
	}
	eventually(t, "it is buried", func() bool { _, _, err := kernel.FileIdentity(fd); return err == syscall.EBADF })
}

func TestHolderMayShutItsHalfDown(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	deaf, mute := b.connect(softVector(0)), b.connect(softVector(1))
	if err := errors.Join(unix.Shutdown(deaf.FD, unix.SHUT_RDWR), unix.Shutdown(mute.FD, unix.SHUT_WR)); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		for i := range 2 {
			if err := b.source.Raise(softVector(i), 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	for total := uint64(0); total < 1000; {
		total += mute.next().Count
	}
	deaf.disconnect()
}

// Rule 6: the doorbell of a dead process rings no more, whoever has copies; what it rang before counts.
func TestRule6DoorbellEndsWithItsRaiser(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	g := b.connect(softVector(0))
	process := exec.Command("sleep", "1000")
	if err := process.Start(); err != nil {
		t.Skip("no sleep; try: apt-get install coreutils")
	}
	bell := b.doorbell(softVector(0), irq.Holder{Kind: irq.HolderProcess, PID: process.Process.Pid})
	ring(t, bell, 5)
	process.Process.Kill()
	process.Wait()
	if r := g.next(); r.Count != 5 {
		t.Errorf("got %+v", r)
	}
	eventually(t, "every copy is revoked", func() bool { return errors.Is(kernel.Send(bell, nil), syscall.EPIPE) })
	if _, err := b.source.Doorbell(softVector(0), irq.Holder{Kind: irq.HolderProcess, PID: process.Process.Pid}); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("a doorbell for the dead: %v", err)
	}
}

func TestCloseRevokesEveryCopy(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	g := b.connect(softVector(0))
	bell := b.doorbell(softVector(0), raiser)
	b.close()
	g.ended()
	if err := kernel.Send(bell, nil); err != syscall.EPIPE {
		t.Errorf("ring after Close: %v", err)
	}
}

func TestDescriptorsOfOthersAreNotGiven(t *testing.T) {
	b := openSource(t, soft4())
	g := b.connect(softVector(0))
	claim := irq.Claim{Vector: softVector(0), Connection: g.conn.ID(), Generation: 1}
	for _, change := range []func(*irq.Claim){
		func(c *irq.Claim) { c.Generation = 2 },
		func(c *irq.Claim) { c.Connection += "x" },
		func(c *irq.Claim) { c.Vector.Index = 1 },
	} {
		c := claim
		change(&c)
		if _, err := b.source.Descriptors(c); !errors.Is(err, irq.ErrNotConnected) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	g.disconnect()
	if _, err := b.source.Descriptors(claim); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("after the end: %v", err)
	}
}
