package guest

import "testing"

// Ivshmem is the registers of an ivshmem-doorbell device
// (docs/specs/ivshmem-spec.rst of QEMU).
type Ivshmem struct{ BAR }

const (
	ivshmemPosition = 8
	ivshmemDoorbell = 12
)

// OpenIvshmem returns the registers of the ivshmem-doorbell at that address.
func OpenIvshmem(t testing.TB, addr string) Ivshmem {
	t.Helper()
	return Ivshmem{OpenBAR(t, addr, 0)}
}

// Peer is the number by which others ring this device.
func (i Ivshmem) Peer() uint32 { return i.Read(ivshmemPosition) }

// Ring raises an MSI-X vector of a peer, which may be this device itself.
func (i Ivshmem) Ring(peer, vector uint32) { i.Write(ivshmemDoorbell, peer<<16|vector) }
