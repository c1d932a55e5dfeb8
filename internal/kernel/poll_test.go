//go:build linux

package kernel

import (
	"os"
	"syscall"
	"testing"
)

// TestSignalsDoNotLookLikeTheEnd: poll(2) is interrupted by signals even when it does not wait, and the Go runtime sends
// itself many. A lifeline must not seem to hang up for that, nor a process to be dead.
func TestSignalsDoNotLookLikeTheEnd(t *testing.T) {
	ours, theirs, err := Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer Close(ours)
	defer Close(theirs)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				syscall.Kill(os.Getpid(), syscall.SIGURG)
			}
		}
	}()
	for range 50_000 {
		if up, err := HungUp(ours); up || err != nil {
			t.Errorf("hung up: %v, %v", up, err)
			break
		}
		if readable, err := IsReadable(ours); readable || err != nil {
			t.Errorf("readable: %v, %v", readable, err)
			break
		}
	}
	close(stop)
	<-stopped
}
