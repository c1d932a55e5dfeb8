// Package guest is for tests that run inside the test VM: it finds the
// emulated devices, binds them to drivers, plugs and unplugs them, and plays
// the hardware's side of an interrupt. Importing it makes a package one of the
// VM's, see package vm.
//
//	func TestPulled(t *testing.T) {
//		guest.Require(t)
//		dev := guest.Device(t, "hot0") // "0000:01:00.0"
//		guest.Bind(t, dev, "vfio-pci")
//		...
//		guest.Unplug(t, "hot0")
//	}
//
// Every function that changes something puts it back when the test ends, so
// that tests do not depend on each other's order. What a kernel lacks skips the
// test and says which kernel has it.
//
// The devices by id:
//
//	edu0 edu1              edu, MSI and INTx, IOMMU group of its own
//	nic0                   e1000e, five MSI-X vectors; on one network with nic1
//	nvme0 usb0             nvme (32 MiB disk), nec-usb-xhci
//	ivshmem0 ivshmem1      ivshmem-doorbell, peers of each other, 4 MSI-X vectors
//	testdev0               pci-testdev, no interrupt at all
//	rtl0 serial0 hda0 edu2 rtl8139, virtio-serial, intel-hda and edu on one INTx line
//	group0 group1          edu and rtl8139 in one IOMMU group
//	hot0 hot1 nic1         edu, edu, e1000e that can be unplugged
//
// With //vm:iommu off the machine has no IOMMU, and no device a group.
package guest
