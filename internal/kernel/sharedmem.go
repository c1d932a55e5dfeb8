package kernel

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MemoryFile makes an anonymous file of that size, close-on-exec, which can neither shrink nor grow
// (memfd_create(2), F_ADD_SEALS): a mapping of it never raises SIGBUS.
func MemoryFile(name string, size int64) (fd int, err error) {
	fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("memfd_create: %w", err)
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("ftruncate: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("seal: %w", err)
	}
	return fd, nil
}

// MemoryFileOf makes a MemoryFile with these bytes in it, of which there must be some.
func MemoryFileOf(name string, content []byte) (fd int, err error) {
	fd, err = MemoryFile(name, int64(len(content)))
	if err != nil {
		return -1, err
	}
	b, err := MapShared(fd, len(content))
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("map %s: %w", name, err)
	}
	copy(b, content)
	return fd, Unmap(b)
}

// MapShared maps the first size bytes of a file, readable and writable, shared with every other mapping of it.
func MapShared(fd int, size int) ([]byte, error) {
	return unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// Unmap undoes MapShared.
func Unmap(b []byte) error { return unix.Munmap(b) }

// Word64 and Word32 are views of shared memory that processes change with atomic operations.
// The offset must be aligned to the size.
func Word64(b []byte, offset int) *atomic.Uint64 {
	_ = b[offset+7]
	return (*atomic.Uint64)(unsafe.Pointer(&b[offset]))
}

// Word32 is Word64 for 32 bits.
func Word32(b []byte, offset int) *atomic.Uint32 {
	_ = b[offset+3]
	return (*atomic.Uint32)(unsafe.Pointer(&b[offset]))
}
