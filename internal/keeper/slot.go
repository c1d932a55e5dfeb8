package keeper

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/ivtd/ivt/internal/kernel"
)

// A slot is one entry of the memory. The worker writes it; only the names under which its descriptors are in systemd's store are
// the keeper's.
type slot struct{ b []byte }

func (m *Memory) slot(i int) slot {
	at := headerSize + i*m.size
	return slot{m.bytes[at : at+m.size : at+m.size]}
}

func (s slot) state() *atomic.Uint32        { return kernel.Word32(s.b, stateAt) }
func (s slot) change() uint64               { return kernel.Word64(s.b, changedAt).Load() }
func (s slot) counter(i int) *atomic.Uint64 { return kernel.Word64(s.b, countersAt+8*i) }
func (s slot) descriptors() int             { return int(s.b[lengthsAt+3]) }
func (s slot) inode(i int) uint64           { return binary.LittleEndian.Uint64(s.b[inodesAt+8*i:]) }

// name is under which number descriptor i is in systemd's store, 0 if it is not.
func (s slot) name(i int) *atomic.Uint32 { return kernel.Word32(s.b, namesAt+4*i) }

// gave reports whether these are the descriptors that the slot was written with, as far as their inodes tell. What the worker said
// itself is so; a store may give back something else.
func (s slot) gave(fds []int) bool {
	for i, fd := range fds {
		want := s.inode(i)
		if _, inode, err := kernel.FileIdentity(fd); err != nil || want != 0 && inode != want {
			return false
		}
	}
	return true
}

// write fills the slot and leaves it in the state intent.
func (s slot) write(key string, value []byte, inodes []uint64, change uint64) {
	s.state().Store(slotIntent)
	s.b[lengthsAt] = byte(len(key))
	binary.LittleEndian.PutUint16(s.b[lengthsAt+1:], uint16(len(value)))
	s.b[lengthsAt+3] = byte(len(inodes))
	kernel.Word64(s.b, changedAt).Store(change)
	for i := range MaxDescriptors {
		var inode uint64
		if i < len(inodes) {
			inode = inodes[i]
		}
		binary.LittleEndian.PutUint64(s.b[inodesAt+8*i:], inode)
	}
	for i := range Counters {
		s.counter(i).Store(0)
	}
	copy(s.b[keyAt:keyAt+keySize], key)
	copy(s.b[valueAt:], value)
}

// read returns key and value; ok is false if their lengths cannot be true.
func (s slot) read() (key string, value []byte, ok bool) {
	k, v := int(s.b[lengthsAt]), int(binary.LittleEndian.Uint16(s.b[lengthsAt+1:]))
	if k == 0 || k > keySize || v > len(s.b)-valueAt || s.descriptors() > MaxDescriptors {
		return "", nil, false
	}
	return string(s.b[keyAt : keyAt+k]), append([]byte(nil), s.b[valueAt:valueAt+v]...), true
}
