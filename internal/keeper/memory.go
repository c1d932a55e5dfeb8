package keeper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ivtd/ivt/internal/kernel"
)

// Sizes of the shared memory. A slot that was never used costs nothing: the memory is sparse.
const (
	layoutVersion = 3
	headerSize    = 4096
	slotSize      = 512
	formerVersion = 2 // differs in the size of a slot only, and is understood
	formerSize    = 1024
	keySize       = 128
	// MaxValue is the longest value that is put into a slot, in bytes.
	MaxValue = slotSize - valueAt
	// MaxDescriptors is the number of descriptors that a slot holds at most.
	MaxDescriptors = 4
	// Counters is the number of counters of a slot.
	Counters = 8
	// Globals is the number of counters of the whole memory.
	Globals = 16
)

// Offsets within the header and within a slot.
const (
	magic        = "ivtkeep\x01"
	versionAt    = 8
	slotsAt      = 12
	bootAt       = 16 // 36 bytes, /proc/sys/kernel/random/boot_id
	instanceAt   = 64 // 64 bytes, NUL padded
	changeAt     = 128
	generationAt = 136
	usedAt       = 144
	globalsAt    = 256

	stateAt     = 0
	lengthsAt   = 4 // key length, value length, descriptors: u8 u16 u8
	changedAt   = 8
	inodesAt    = 16 // one u64 for each descriptor
	countersAt  = inodesAt + 8*MaxDescriptors
	keyAt       = countersAt + 8*Counters
	namesAt     = keyAt + keySize // u32 for each descriptor; these are the keeper's, all else is the worker's
	valueAt     = namesAt + 4*MaxDescriptors
	slotFree    = 0
	slotIntent  = 1
	slotLive    = 2
	maxLifetime = 64 // bytes of the instance name
)

// ErrForeignMemory says that shared memory was left by something that this program cannot read:
// another layout, another boot, or damage.
var ErrForeignMemory = errors.New("kept state is not of this version or boot")

// Memory is the shared memory of keeper and worker.
type Memory struct {
	fd    int
	bytes []byte
	slots int
	size  int // of a slot
}

// NewMemory makes shared memory with that many slots for a new registry.
func NewMemory(slots int, instance, boot string) (*Memory, error) {
	size := headerSize + slots*slotSize
	fd, err := kernel.MemoryFile("ivtd-state", int64(size))
	if err != nil {
		return nil, err
	}
	b, err := kernel.MapShared(fd, size)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map state: %w", err), kernel.Close(fd))
	}
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[versionAt:], layoutVersion)
	binary.LittleEndian.PutUint32(b[slotsAt:], uint32(slots))
	copy(b[bootAt:bootAt+36], boot)
	copy(b[instanceAt:instanceAt+maxLifetime], instance)
	return &Memory{fd: fd, bytes: b, slots: slots, size: slotSize}, nil
}

// OpenMemory maps shared memory that another process made, or returns ErrForeignMemory. The memory owns fd from then on.
func OpenMemory(fd int, boot string) (*Memory, error) {
	size, err := kernel.FileSize(fd)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeignMemory, err)
	}
	if size < headerSize || size > 1<<32 {
		return nil, fmt.Errorf("%w: %d bytes long", ErrForeignMemory, size)
	}
	b, err := kernel.MapShared(fd, int(size))
	if err != nil {
		return nil, fmt.Errorf("map state: %w", err)
	}
	m := &Memory{fd: fd, bytes: b, slots: int(binary.LittleEndian.Uint32(b[slotsAt:])), size: slotSize}
	version := binary.LittleEndian.Uint32(b[versionAt:])
	if version == formerVersion {
		m.size = formerSize
	}
	switch {
	case string(b[:len(magic)]) != magic:
		err = fmt.Errorf("%w: no magic number", ErrForeignMemory)
	case version != layoutVersion && version != formerVersion:
		err = fmt.Errorf("%w: layout %d, this program knows %d", ErrForeignMemory, version, layoutVersion)
	case int64(headerSize)+int64(m.slots)*int64(m.size) != size:
		err = fmt.Errorf("%w: %d slots do not fit %d bytes", ErrForeignMemory, m.slots, size)
	case text(b[bootAt:bootAt+36]) != boot:
		err = fmt.Errorf("%w: of another boot", ErrForeignMemory)
	}
	if err != nil {
		return nil, errors.Join(err, kernel.Unmap(b))
	}
	return m, nil
}

// Close unmaps and closes.
func (m *Memory) Close() error { return errors.Join(kernel.Unmap(m.bytes), kernel.Close(m.fd)) }

// Slots is how many slots there are.
func (m *Memory) Slots() int { return m.slots }

// FD is the descriptor of the memory, the Memory's own.
func (m *Memory) FD() int { return m.fd }

// Instance is the identity of the registry that the memory belongs to.
func (m *Memory) Instance() string { return text(m.bytes[instanceAt : instanceAt+maxLifetime]) }

// text is what stands before the first NUL.
func text(b []byte) string {
	before, _, _ := bytes.Cut(b, []byte{0})
	return string(before)
}

// Global is counter i of the whole memory, from 0 to Globals-1.
func (m *Memory) Global(i int) *atomic.Uint64 { return kernel.Word64(m.bytes, globalsAt+8*i) }

// Generation counts the workers that have used the memory.
func (m *Memory) Generation() *atomic.Uint64 { return kernel.Word64(m.bytes, generationAt) }

// used is how many slots, from the first on, may have been in use: who looks for what is kept need not look further, which
// would cost the pages.
func (m *Memory) used() int { return min(int(kernel.Word32(m.bytes, usedAt).Load()), m.slots) }

func (m *Memory) setUsed(n int) { kernel.Word32(m.bytes, usedAt).Store(uint32(n)) }

func (m *Memory) nextChange() uint64 { return kernel.Word64(m.bytes, changeAt).Add(1) }
