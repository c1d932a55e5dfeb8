package keeper

import (
	"errors"
	"syscall"
	"time"

	"github.com/ivtd/ivt/internal/kernel"
)

// How long a former worker may take to die, and how often one looks.
const (
	dyingLimit = 5 * time.Second
	dyingPause = time.Millisecond
)

// hearOut does what the last worker asked for and the keeper that died did not hear: the worker had answered its clients in
// the trust that it was kept. It ends where that worker's end of the socket is closed, which was so before systemd started this keeper.
func (k *Keeper) hearOut(control int) {
	if control < 0 {
		return
	}
	defer kernel.Close(control)
	buffer := make([]byte, maxRecord)
	for waited := time.Duration(0); ; {
		n, fds, err := kernel.PeekRecordNow(control, buffer)
		switch {
		case errors.Is(err, syscall.EAGAIN) && waited < dyingLimit:
			time.Sleep(dyingPause) // it has its SIGKILL already
			waited += dyingPause
			continue
		case err != nil:
			k.options.Log.Error("hear what the former worker had to say", "err", err)
			return
		case n == 0:
			return
		}
		k.heed(buffer[:n], fds)
		kernel.Discard(control) // peeked at: it is there
	}
}
