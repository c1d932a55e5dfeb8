//go:build linux

package source

import (
	"syscall"

	"github.com/ivtd/ivt/internal/bury"
	"github.com/ivtd/ivt/internal/kernel"
)

// An inlet is our end of a SEQPACKET socketpair whose other end somebody outside has. Whatever comes in
// is bytes to judge: records of any size, and descriptors that nobody asked for.
//
// Descriptors are dangerous to receive (package bury). New kernels refuse them for us (6.16). On others the
// inlet looks before it takes, and stops listening to who sends any.
type inlet struct {
	fd      int
	speaks  bool // records are sent on fd, too
	refuses bool // the kernel refuses descriptors
	deaf    bool // nothing more is read: the end was seen, or a descriptor came
	hostile bool // a descriptor is in the queue: closing fd may block
}

// newInlet returns the inlet and the other end, for the one outside. queue bounds what is unread, in bytes of records.
func newInlet(queue int, speaks bool) (in inlet, theirs int, err error) {
	ours, theirs, err := kernel.Socketpair()
	if err != nil {
		return inlet{fd: -1}, -1, err
	}
	in = inlet{fd: ours, speaks: speaks}
	if err := in.prepare(); err != nil {
		kernel.Close(ours)
		kernel.Close(theirs)
		return inlet{fd: -1}, -1, err
	}
	return in, theirs, kernel.SetSendBuffer(ours, queue)
}

// prepare sets the options of an inlet's descriptor.
func (in *inlet) prepare() error {
	in.refuses = kernel.RefuseDescriptors(in.fd) == nil
	if in.refuses && in.speaks {
		return nil // a socket that wants credentials is given a name when it sends, and that takes longer the more there are
	}
	return kernel.PassCredentials(in.fd)
}

// receive hands at most batchLimit queued records to f, and reports whether more can ever come.
func (in *inlet) receive(b *kernel.Batch, f func([]byte)) (open bool) {
	for left := batchLimit; left > 0 && !in.deaf; {
		n, err := in.take(b, left)
		if err != nil {
			in.deaf = in.deaf || err != syscall.EAGAIN
			break
		}
		for i := range n {
			if r := b.Record(i); r.End && in.ended() {
				in.deaf = true
				break
			} else if !r.Excess {
				f(r.Data)
			}
		}
		left -= n
		if in.refuses {
			break // one call has taken all there was, or the whole turn
		}
	}
	return !in.deaf
}

// ended tells the end from an empty record, which looks the same without credentials; nobody has a use for one then.
func (in *inlet) ended() bool {
	if !in.refuses || !in.speaks {
		return true
	}
	gone, err := kernel.HungUp(in.fd)
	return gone || err != nil
}

func (in *inlet) take(b *kernel.Batch, limit int) (int, error) {
	if in.refuses {
		return b.Receive(in.fd, limit)
	}
	rights, err := kernel.PeekRights(in.fd)
	if err != nil {
		return 0, err
	}
	if rights {
		in.deaf, in.hostile = true, true
		return 0, syscall.EACCES
	}
	return b.Receive(in.fd, 1)
}

// close ends the connection for every copy of both ends and closes ours. On an old kernel the queue may
// hold descriptors that block whoever drops them: that is then done aside, and before anybody else's copy of
// our end can be the last.
func (in *inlet) close() {
	kernel.Shutdown(in.fd)
	if !in.refuses {
		for b := kernel.NewBatch(); in.receive(b, func([]byte) {}); {
		}
	}
	if in.hostile {
		bury.Socket(in.fd)
	} else {
		kernel.Close(in.fd)
	}
	in.fd, in.deaf = -1, true
}
