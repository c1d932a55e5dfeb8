//go:build linux

package source

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/ivtd/ivt/irq"
)

// This file has the "no"s of VFIO, each with its own code and what to do (rule 4).

func (f pciFunction) refusal(code irq.Code, reason irq.Reason, detail string, remedies ...string) *irq.Error {
	return &irq.Error{Code: code, Operation: "open", Name: "pci:" + f.address, Reason: reason, Detail: detail, Remedies: remedies}
}

func noSuchFunction(name string, err error) error {
	return &irq.Error{Code: irq.ErrNoSuchDevice, Operation: "open", Name: name, Reason: irq.ReasonNoSuchSource,
		Detail: "there is no such PCI function", Remedies: []string{"ivt list", "lspci -D shows the addresses"}, Err: err}
}

// driverRefusal says why f cannot be taken while it has the driver that it has.
func (f pciFunction) driverRefusal(vfioLoaded bool) error {
	bind := "ivt bind " + f.address + " vfio-pci"
	switch {
	case !vfioLoaded:
		return f.refusal(irq.ErrNotSupported, irq.ReasonNoSuchSource, "the kernel's vfio-pci driver is not loaded",
			"modprobe vfio-pci", "to load it at each boot: echo vfio-pci > /etc/modules-load.d/vfio-pci.conf", bind)
	case f.driver == "" && f.group == "": // vfio-pci would not take it
		return f.noIOMMU()
	case f.driver == "":
		return f.refusal(irq.ErrNoSuchDevice, irq.ReasonNoSuchSource, "it has no driver; VFIO must have it", bind)
	}
	e := f.refusal(irq.ErrAlreadyConnected, irq.ReasonKernelHolds, "the kernel's driver has it and its interrupts",
		bind+" takes it from "+f.driver+", after showing what is in use", "ivt who "+f.address)
	e.Conflicts = []irq.Conflict{f.conflict(f)}
	return e
}

// conflict says that the kernel's drivers of these functions are in f's way.
func (f pciFunction) conflict(holders ...pciFunction) irq.Conflict {
	c := irq.Conflict{Vector: irq.Vector{Source: "pci:" + f.address}, Reason: irq.ReasonKernelHolds}
	for _, h := range holders {
		c.Holders = append(c.Holders, irq.Holder{Kind: irq.HolderKernel, Driver: h.driver, Device: h.address})
	}
	return c
}

// noIOMMU says how to switch one on.
func (f pciFunction) noIOMMU() error {
	return f.refusal(irq.ErrNotSupported, irq.ReasonNoSuchSource, "it is in no IOMMU group: the IOMMU is off, or the machine has none",
		"switch on VT-d or AMD-Vi in the firmware, and boot Intel machines with intel_iommu=on",
		"in a virtual machine: give it an IOMMU (QEMU: -device intel-iommu,intremap=on)",
		"without any isolation of memory: enable_unsafe_noiommu_mode=1 of the module vfio, and unsafe_noiommu = true in the policy")
}

func (f pciFunction) unsafeNotSaid() error {
	return f.refusal(irq.ErrAccessDenied, irq.ReasonDenied, "it can be had without an IOMMU only: its driver could then write all memory of the machine",
		"set unsafe_noiommu = true in its [[device]] to accept that", "use an IOMMU")
}

// notViable names the functions of the group that have drivers which VFIO cannot live with.
func (f pciFunction) notViable(root string) error {
	var others []pciFunction
	var names []string
	for _, m := range f.groupMembers(root) {
		if m.driver != "" && !m.isVFIO() && m.driver != "pcieport" {
			others = append(others, m)
			names = append(names, m.address+" ("+m.driver+")")
		}
	}
	if others == nil {
		return f.refusal(irq.ErrBusy, irq.ReasonKernelHolds, "IOMMU group "+f.group+" is not viable, and /sys does not show why", "dmesg | grep -i vfio")
	}
	e := f.refusal(irq.ErrAlreadyConnected, irq.ReasonKernelHolds,
		"IOMMU group "+f.group+" cannot be split, and the kernel's drivers have other functions in it: "+strings.Join(names, ", "))
	for _, o := range others {
		e.Remedies = append(e.Remedies, "ivt bind "+o.address+" vfio-pci")
	}
	e.Conflicts = []irq.Conflict{f.conflict(others...)}
	return e
}

// openRefusal explains an errno of opening a device file.
func (f pciFunction) openRefusal(path string, err error, foreign func(string) []irq.Holder) error {
	var e *irq.Error
	switch {
	case isErrno(err, syscall.EBUSY):
		e = f.foreignHolds(path, foreign)
	case isErrno(err, syscall.EACCES), isErrno(err, syscall.EPERM):
		e = f.refusal(irq.ErrAccessDenied, irq.ReasonDenied, "the file permissions of "+path+" do not allow it",
			"run ivtd as root, or give it the file: chown USER "+path, "ls -l "+path)
	case isErrno(err, syscall.ENOENT), isErrno(err, syscall.ENXIO):
		e = f.refusal(irq.ErrNoSuchDevice, irq.ReasonNoSuchSource, path+" is not there",
			"check that the whole group is bound: ls /sys/kernel/iommu_groups/"+f.group+"/devices", "modprobe vfio-pci")
	case isErrno(err, syscall.ENODEV):
		e = f.refusal(irq.ErrNotConnected, irq.ReasonSourceGone, "the device went away while it was opened")
	default:
		return fmt.Errorf("open %s for pci:%s: %w", path, f.address, err)
	}
	e.Err = &fs.PathError{Op: "open", Path: path, Err: err}
	return e
}

// foreignHolds is EBUSY: somebody outside had the file first. The list of holders is never empty.
func (f pciFunction) foreignHolds(path string, foreign func(string) []irq.Holder) *irq.Error {
	return foreignHolds("pci:"+f.address, path, foreign)
}

func foreignHolds(source, path string, foreign func(string) []irq.Holder) *irq.Error {
	holders := foreign(path)
	e := &irq.Error{Code: irq.ErrAlreadyConnected, Operation: "open", Name: source, Reason: irq.ReasonForeignHolds,
		Detail: path + " is open in a process outside ivt", Remedies: []string{"ivt who " + path, "stop that process, or let it use ivt"}}
	if len(holders) == 0 {
		holders = []irq.Holder{{Kind: irq.HolderUnknown,
			Label: "no process that may be looked into has it open: it may be in another container, or in flight between processes"}}
		e.Remedies = append([]string{"sudo fuser -v " + path}, e.Remedies...)
	}
	e.Conflicts = []irq.Conflict{{Vector: irq.Vector{Source: source}, Reason: irq.ReasonForeignHolds, Holders: holders}}
	return e
}
