//go:build linux

package kernel

import (
	"sync/atomic"
	"unsafe"
)

// Load32 reads a 32-bit register with one access, as devices want it. It panics outside of b, and where a word does not
// begin.
func Load32(b []byte, offset int) uint32 { return atomic.LoadUint32(word[uint32](b, offset)) }

// Store32 writes a 32-bit register with one access.
func Store32(b []byte, offset int, v uint32) { atomic.StoreUint32(word[uint32](b, offset), v) }

// Load64 reads a 64-bit register with one access.
func Load64(b []byte, offset int) uint64 { return atomic.LoadUint64(word[uint64](b, offset)) }

// Store64 writes a 64-bit register with one access.
func Store64(b []byte, offset int, v uint64) { atomic.StoreUint64(word[uint64](b, offset), v) }

func word[T uint32 | uint64](b []byte, offset int) *T {
	var one T
	p := unsafe.Pointer(&b[offset : offset+int(unsafe.Sizeof(one))][0])
	if uintptr(p)%unsafe.Sizeof(one) != 0 {
		panic("register: the offset is not aligned")
	}
	return (*T)(p)
}
