//go:build linux

package kernel

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// hurryTime is between two signals to who is in a hurry.
const hurryTime = 10 * time.Millisecond

// Hurry calls f on a thread that gets a signal every 10 ms (SIGURG, which Go itself uses and ignores, tgkill(2)): what a system call
// of f waits for interruptibly it does not wait for, such as the lingering of a TCP socket that it drops (SO_LINGER, sk_stream_wait_close
// in net/core/stream.c). Other waits last as long as they do.
func Hurry(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	process, thread, done := os.Getpid(), unix.Gettid(), make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(hurryTime)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				unix.Tgkill(process, thread, unix.SIGURG)
			}
		}
	}()
	f()
}
