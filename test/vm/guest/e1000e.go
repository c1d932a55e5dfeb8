package guest

import "testing"

// E1000e is the hardware's side of an Intel 82574L network card: five MSI-X
// vectors that a test can raise one by one (82574 datasheet, 10.2.4).
type E1000e struct{ BAR }

const (
	e1000Status = 0x08
	e1000CtlExt = 0x18
	e1000ICR    = 0xc0
	e1000ITR    = 0xc4
	e1000ICS    = 0xc8
	e1000IMS    = 0xd0
	e1000IMC    = 0xd8
	e1000IVAR   = 0xe4
	e1000EITR   = 0xe8

	e1000PBA       = 1 << 31 // MSI-X mode clears pending bits by vector
	e1000IVARValid = 8
)

// The causes that have a vector of their own, and their vectors as
// [OpenE1000e] wires them.
const (
	e1000Causes = 1<<20 | 1<<21 | 1<<22 | 1<<23 | 1<<24 // RxQ0 RxQ1 TxQ0 TxQ1 Other
	E1000eRxQ0  = 0
	E1000eRxQ1  = 1
	E1000eTxQ0  = 2
	E1000eTxQ1  = 3
	E1000eOther = 4
)

// OpenE1000e returns the hardware's side of the e1000e at that address, with
// its five causes wired to vectors 0 to 4, unmasked and not throttled, until
// the test ends.
func OpenE1000e(t testing.TB, addr string) E1000e {
	t.Helper()
	e := E1000e{OpenBAR(t, addr, 0)}
	e.Stop()
	t.Cleanup(e.Stop)
	ivar := uint32(1 << 31) // signal each write-back
	for v := range 5 {
		ivar |= uint32(v|e1000IVARValid) << (4 * v)
		e.Write(e1000EITR+4*v, 0)
	}
	e.Write(e1000ITR, 0)
	e.Write(e1000CtlExt, e.Read(e1000CtlExt)|e1000PBA)
	e.Write(e1000IVAR, ivar)
	e.Write(e1000IMS, e1000Causes)
	return e
}

// Stop masks and clears all causes. It is needed before MSI-X is switched off:
// QEMU's e1000e aborts if a cause starts its throttling timer without MSI-X,
// and MSI-X is on when that ends.
func (e E1000e) Stop() {
	e.Write(e1000IMC, 1<<32-1)
	e.Write(e1000ICR, 1<<32-1)
}

// Raise raises the MSI-X vector of a cause, 0 to 4.
func (e E1000e) Raise(vector int) { e.Write(e1000ICS, 1<<(20+vector)) }

// Ack clears the cause, which a driver does; until then the device does not
// raise it again.
func (e E1000e) Ack(vector int) { e.Write(e1000ICR, 1<<(20+vector)) }

// Raised says whether nobody acknowledged the cause yet. Reading ICR would
// acknowledge, so it looks at ICS, which reads the same.
func (e E1000e) Raised(vector int) bool { return e.Read(e1000ICS)&(1<<(20+vector)) != 0 }
