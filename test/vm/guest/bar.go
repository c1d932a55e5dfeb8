package guest

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"
)

// BAR is the mapped registers of a device, reached through sysfs: the
// hardware's side, whoever has the device open for its interrupts.
type BAR []byte

// OpenBAR maps a memory BAR of a device and enables the device's memory and bus
// mastering. It is unmapped when the test ends.
func OpenBAR(t testing.TB, addr string, n int) BAR {
	t.Helper()
	enable(t, addr)
	f, err := os.OpenFile(Sysfs(addr, fmt.Sprintf("resource%d", n)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatalf("map BAR %d of %s: %v", n, addr, err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	return m
}

// Read reads the 32-bit register at an offset.
func (b BAR) Read(offset int) uint32 { return atomic.LoadUint32(b.at(offset)) }

// Write writes the 32-bit register at an offset.
func (b BAR) Write(offset int, v uint32) { atomic.StoreUint32(b.at(offset), v) }

func (b BAR) at(offset int) *uint32 {
	_ = b[offset+3]
	return (*uint32)(unsafe.Pointer(&b[offset]))
}

const (
	pciCommand     = 4
	commandMemory  = 1 << 1
	commandMaster  = 1 << 2
	CommandINTxOff = 1 << 10 // disables INTx; set while the kernel masks a line
)

// Command returns the PCI command register.
func Command(t testing.TB, addr string) uint16 {
	t.Helper()
	return uint16(config(t, addr, func(f *os.File, b []byte) error { _, err := f.ReadAt(b, pciCommand); return err }))
}

// SetCommand writes the PCI command register.
func SetCommand(t testing.TB, addr string, v uint16) {
	t.Helper()
	config(t, addr, func(f *os.File, b []byte) error {
		b[0], b[1] = byte(v), byte(v>>8)
		_, err := f.WriteAt(b, pciCommand)
		return err
	})
}

func enable(t testing.TB, addr string) {
	t.Helper()
	if c := Command(t, addr); c&(commandMemory|commandMaster) != commandMemory|commandMaster {
		SetCommand(t, addr, c|commandMemory|commandMaster)
	}
}

func config(t testing.TB, addr string, do func(*os.File, []byte) error) uint {
	t.Helper()
	f, err := os.OpenFile(Sysfs(addr, "config"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 2)
	if err := do(f, b); err != nil {
		t.Fatalf("config space of %s: %v", addr, err)
	}
	return uint(b[0]) | uint(b[1])<<8
}
