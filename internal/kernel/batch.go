//go:build linux

package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The bounds of a Batch: records, and bytes of each.
const (
	BatchRecords = 64
	BatchBytes   = 64
)

// credentials is the room for one SCM_CREDENTIALS, and for no descriptor beside it: the kernel drops
// descriptors that do not fit and sets MSG_CTRUNC.
const credentials = (unix.SizeofCmsghdr+7)&^7 + (unix.SizeofUcred+7)&^7

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// A Batch receives many small records with one call (recvmmsg(2)). It allocates once, and one goroutine
// uses it at a time.
type Batch struct {
	headers [BatchRecords]mmsghdr
	vectors [BatchRecords]unix.Iovec
	data    [BatchRecords][BatchBytes]byte
	control [BatchRecords][credentials]byte
}

// A Received is one record of a Batch, valid until the next Receive.
type Received struct {
	Data   []byte // at most BatchBytes
	Excess bool   // it was longer than BatchBytes
	Rights bool   // it had descriptors, which the kernel closed
	End    bool   // not a record: the peer is gone. Needs PassCredentials
}

// NewBatch returns an empty batch.
func NewBatch() *Batch {
	b := &Batch{}
	for i := range b.headers {
		b.vectors[i].Base = &b.data[i][0]
		b.vectors[i].SetLen(BatchBytes)
	}
	return b
}

// Receive takes at most limit records that are queued on fd, without waiting, and returns how many.
// EAGAIN: none. On a kernel without RefuseDescriptors closing a descriptor that came along can block;
// see PeekRights.
func (b *Batch) Receive(fd, limit int) (int, error) {
	limit = min(limit, BatchRecords)
	for i := range limit {
		h := &b.headers[i].header
		*h = unix.Msghdr{Iov: &b.vectors[i], Control: &b.control[i][0]}
		h.SetIovlen(1)
		h.SetControllen(credentials)
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])), uintptr(limit), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), nil
	}
}

// Record returns record i of the last Receive.
func (b *Batch) Record(i int) Received {
	m := &b.headers[i]
	return Received{
		Data:   b.data[i][:min(m.length, BatchBytes)],
		Excess: m.header.Flags&unix.MSG_TRUNC != 0,
		Rights: m.header.Flags&unix.MSG_CTRUNC != 0,
		End:    m.length == 0 && m.header.Controllen == 0,
	}
}

// PeekRights reports whether the next record queued on fd carries descriptors, without taking either.
// fd must have PassCredentials. EAGAIN: no record.
func PeekRights(fd int) (bool, error) {
	var data [1]byte
	var control [credentials]byte
	for {
		_, _, flags, _, err := unix.Recvmsg(fd, data[:], control[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		return err == nil && flags&unix.MSG_CTRUNC != 0, err
	}
}
