package bare

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/ivtd/ivt/test/vm/guest"
	"golang.org/x/sys/unix"
)

// TestRegistersStayWhereTheyAre: while one processor moves the registers of a device, another one reads those of its interrupt
// controller and gets nothing else. An emulator that fails here is none to test on: it loses ends of interrupts, too, and the
// machine stands still.
func TestRegistersStayWhereTheyAre(t *testing.T) {
	guest.Require(t)
	moved := guest.Device(t, "edu0")
	before := guest.Command(t, moved)
	t.Cleanup(func() { guest.SetCommand(t, moved, before) })
	mem, err := os.OpenFile("/dev/mem", os.O_RDWR|os.O_SYNC, 0)
	if err != nil {
		t.Skipf("this kernel lets nobody read its interrupt controller: %v", err)
	}
	defer mem.Close()
	apic, err := unix.Mmap(int(mem.Fd()), 0xfee00000, 4096, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Skipf("this kernel lets nobody read its interrupt controller: %v", err)
	}
	defer unix.Munmap(apic)
	var over atomic.Bool
	go func() {
		defer over.Store(true)
		runtime.LockOSThread()
		pin(t, 0)
		for n := range 30 {
			guest.SetCommand(t, moved, uint16(2*(n%2)))
		}
	}()
	runtime.LockOSThread()
	pin(t, 1)
	version := (*uint32)(unsafe.Pointer(&apic[0x30]))
	want, reads, wrong := atomic.LoadUint32(version), 0, 0
	for !over.Load() {
		// Without a branch between them, at which QEMU would notice what has moved.
		a, b, c, d := atomic.LoadUint32(version), atomic.LoadUint32(version), atomic.LoadUint32(version), atomic.LoadUint32(version)
		if reads++; a != want || b != want || c != want || d != want {
			wrong++
		}
	}
	if wrong != 0 {
		t.Errorf("%d of %d times the version is not %#x", wrong, reads, want)
	}
}

func pin(t *testing.T, cpu int) {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		t.Error(err)
	}
}
