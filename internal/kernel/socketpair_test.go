//go:build linux

package kernel

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns a socketpair whose first end receives with credentials, as a relay's does.
func pair(t *testing.T) (ours, theirs int) {
	t.Helper()
	ours, theirs, err := Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(ours); Close(theirs) })
	if err := PassCredentials(ours); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

func TestBatchTellsAnEmptyRecordFromTheEnd(t *testing.T) {
	ours, theirs := pair(t)
	for _, record := range []string{"one", "", "three", string(make([]byte, BatchBytes+1))} {
		if err := Send(theirs, []byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Shutdown(theirs); err != nil {
		t.Fatal(err)
	}
	b := NewBatch()
	n, err := b.Receive(ours, BatchRecords)
	if err != nil || n < 5 {
		t.Fatalf("received %d, %v; want the four records and the end", n, err)
	}
	want := []Received{{Data: []byte("one")}, {}, {Data: []byte("three")}, {Data: make([]byte, BatchBytes), Excess: true}, {End: true}}
	for i, w := range want {
		if g := b.Record(i); !bytes.Equal(g.Data, w.Data) || g.Excess != w.Excess || g.End != w.End || g.Rights {
			t.Errorf("record %d is %+v, want %+v", i, g, w)
		}
	}
}

func TestReceiveWithoutRecordsIsEAGAIN(t *testing.T) {
	ours, _ := pair(t)
	if n, err := NewBatch().Receive(ours, BatchRecords); n != 0 || err != syscall.EAGAIN {
		t.Errorf("got %d, %v", n, err)
	}
}

// A descriptor that a peer sends never becomes ours, whether the kernel refuses it or drops it.
func TestDescriptorsAreNotTaken(t *testing.T) {
	ours, theirs := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := unix.Sendmsg(theirs, []byte("fd"), unix.UnixRights(int(w.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if rights, err := PeekRights(ours); err != nil || !rights {
		t.Errorf("PeekRights: %v, %v; want true", rights, err)
	}
	b := NewBatch()
	if n, err := b.Receive(ours, BatchRecords); err != nil || n != 1 || !b.Record(0).Rights {
		t.Fatalf("received %d, %v, %+v; want one record that had descriptors", n, err, b.Record(0))
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the write end of the pipe is still open somewhere: read %d, %v", n, err)
	}
}

func TestRefusedDescriptorsCannotBeSent(t *testing.T) {
	ours, theirs := pair(t)
	if err := RefuseDescriptors(ours); errors.Is(err, syscall.ENOPROTOOPT) {
		t.Skip("SO_PASSRIGHTS needs Linux 6.16; try: a newer kernel")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendmsg(theirs, []byte("fd"), unix.UnixRights(theirs), nil, 0); err != syscall.EPERM {
		t.Errorf("sending a descriptor: %v, want EPERM", err)
	}
	if rights, err := PeekRights(ours); rights || err != syscall.EAGAIN {
		t.Errorf("PeekRights: %v, %v", rights, err)
	}
}

func TestFullQueueIsEAGAINAndUnsentCounts(t *testing.T) {
	ours, theirs := pair(t)
	sent := 0
	for ; Send(ours, make([]byte, 56)) == nil; sent++ {
	}
	if err := Send(ours, []byte{1}); err != syscall.EAGAIN {
		t.Fatalf("after %d records: %v", sent, err)
	}
	if n, err := Unsent(ours); err != nil || n < sent*56 {
		t.Errorf("unsent %d, %v; want at least %d", n, err, sent*56)
	}
	for taken := 0; ; taken++ {
		if done, err := Discard(theirs); err != nil {
			t.Fatal(err)
		} else if done {
			if taken != sent {
				t.Errorf("discarded %d of %d", taken, sent)
			}
			break
		}
	}
	if n, err := Unsent(ours); n != 0 || err != nil {
		t.Errorf("unsent %d, %v after all were taken", n, err)
	}
}

func TestShutdownRevokesEveryCopy(t *testing.T) {
	ours, theirs := pair(t)
	copied, err := Duplicate(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(copied)
	if err := Shutdown(ours); err != nil {
		t.Fatal(err)
	}
	for _, fd := range []int{theirs, copied} {
		if err := Send(fd, []byte{1}); err != syscall.EPIPE {
			t.Errorf("send on a copy: %v, want EPIPE", err)
		}
	}
}
