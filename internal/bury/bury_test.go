//go:build linux

package bury

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
)

// What cannot be dropped at once is sent by TestUnwantedDescriptorsStallNobody of test/vm/whole.

func TestSocketHangsUpOnEveryCopy(t *testing.T) {
	for name, left := range map[string][]string{"empty": nil, "with records": {"", "x", ""}} {
		t.Run(name, func(t *testing.T) {
			ours, theirs, err := kernel.Socketpair()
			if err != nil {
				t.Fatal(err)
			}
			defer kernel.Close(theirs)
			another, err := kernel.Duplicate(ours)
			if err != nil {
				t.Fatal(err)
			}
			defer kernel.Close(another)
			for _, text := range left {
				if err := unix.Sendmsg(theirs, []byte(text), unix.UnixRights(theirs), nil, 0); err != nil {
					t.Fatal(err)
				}
			}
			Socket(ours)
			if err := kernel.Send(theirs, []byte("x")); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("who sends afterwards gets %v", err)
			}
			eventually(t, "the other copy is empty", func() bool { return !hasRecord(another) })
			eventually(t, "ours is closed", func() bool { _, _, err := kernel.FileIdentity(ours); return err == syscall.EBADF })
		})
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
