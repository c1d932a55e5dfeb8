package guest

import "testing"

// Edu is the hardware's side of QEMU's edu device (docs/specs/edu.rst of QEMU):
// a test makes it raise interrupts and reads what was acknowledged.
type Edu struct{ BAR }

const (
	eduFactorial = 0x08
	eduStatus    = 0x20
	eduIRQ       = 0x24 // which interrupts are raised
	eduRaise     = 0x60
	eduAck       = 0x64
	eduDMASource = 0x80
	eduDMADest   = 0x88
	eduDMACount  = 0x90
	eduDMACmd    = 0x98

	eduComputing   = 1
	eduDMAStart    = 1
	eduDMAToMemory = 2

	// EduBuffer is the address of the device's own 4 KiB memory in DMA.
	EduBuffer = 0x40000
)

// OpenEdu returns the hardware's side of the edu at that address.
func OpenEdu(t testing.TB, addr string) Edu {
	t.Helper()
	e := Edu{OpenBAR(t, addr, 0)}
	if id := e.Read(0); id&0xff != 0xed {
		t.Fatalf("%s is no edu: its identification reads %#x", addr, id)
	}
	return e
}

// Raise raises the interrupts of a non-zero mask; each call sends one message
// if MSI is on, else the line goes up and stays up until all are acknowledged.
func (e Edu) Raise(mask uint32) { e.Write(eduRaise, mask) }

// Ack acknowledges the interrupts of a mask, which a driver does.
func (e Edu) Ack(mask uint32) { e.Write(eduAck, mask) }

// Raised returns the mask of the interrupts that nobody acknowledged yet.
func (e Edu) Raised() uint32 { return e.Read(eduIRQ) }

// Factorial computes n! modulo 2^32 on the device.
func (e Edu) Factorial(n uint32) uint32 {
	e.Write(eduFactorial, n)
	for e.Read(eduStatus)&eduComputing != 0 {
	}
	return e.Read(eduFactorial)
}

// DMA copies n bytes between the device's buffer (offset from [EduBuffer]) and
// an I/O address, and waits for it. What the IOMMU forbids does not arrive, and
// the device does not notice. The device reaches the lowest 256 MiB only.
func (e Edu) DMA(offset uint32, iova uint64, n uint32, toMemory bool) {
	src, dst, cmd := uint64(EduBuffer+offset), iova, uint32(eduDMAStart|eduDMAToMemory)
	if !toMemory {
		src, dst, cmd = iova, uint64(EduBuffer+offset), eduDMAStart
	}
	for at, v := range map[int]uint64{eduDMASource: src, eduDMADest: dst, eduDMACount: uint64(n)} {
		e.Write(at, uint32(v))
		e.Write(at+4, uint32(v>>32))
	}
	e.Write(eduDMACmd, cmd)
	for e.Read(eduDMACmd)&eduDMAStart != 0 {
	}
}
