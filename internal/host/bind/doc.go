// Package bind gives a PCI function to another driver, vfio-pci above all, and gives it back.
//
// It does so with driver_override (Documentation/ABI/testing/sysfs-bus-pci), which concerns one function and no other of
// the same kind. [Bind] and [Unbind] look first and change nothing: the [Plan] that they return says what the function is
// used for now (mounted disks, interfaces, consoles, other functions of its IOMMU group, processes, connections of
// ivtd), and every file and value that would be written. Something in use is a refusal, irq.ErrStillConnected (764),
// unless forced. [Plan.Do] then writes, and if one step fails undoes those before it in reverse.
//
// Everything is done with the rights of the caller. What was there before is kept in /run/ivt/bind, so that a later Unbind
// puts back exactly that; Persist adds a udev rule, so that the function is given again at the next boot.
package bind
