package bind

import (
	"context"

	"github.com/ivtd/ivt/irq"
)

// DefaultDriver is the driver that Bind gives a function to.
const DefaultDriver = "vfio-pci"

// Options say how to bind or unbind. The zero value binds one function of this machine to vfio-pci, until the next boot.
type Options struct {
	Root    string // where the machine's sys, proc, run and etc are; default "/"
	Driver  string // Bind: default DefaultDriver
	Group   bool   // take every function of the IOMMU group, not this one alone
	Force   bool   // although it is in use
	Persist bool   // Bind: also at the next boot; Unbind: no more
	// Connected asks ivtd who is connected to vectors of a source ("pci:0000:3b:00.0"); nil asks nobody. An error is a
	// note in the plan: where no daemon runs, nobody is connected to it.
	Connected func(ctx context.Context, source string) ([]irq.Conflict, error)
}

// A Plan is what binding or unbinding would do.
type Plan struct {
	Operation string   `json:"operation"` // "bind", "unbind"
	Devices   []Device `json:"devices"`   // what was asked for, first; then the rest of its group with Options.Group
	Driver    string   `json:"driver"`    // that they get; "" where the kernel chooses
	InUse     []Use    `json:"inUse"`     // what the functions are used for; refused unless forced
	Forced    bool     `json:"forced,omitempty"`
	Notes     []string `json:"notes,omitempty"` // what could not be seen, and what to know
	Steps     []Step   `json:"steps"`           // in order; empty: everything is as it should be

	machine *machine
	want    map[string]string // address → driver that it must have in the end
}

// A Device is a PCI function as it is before the plan.
type Device struct {
	Address  string `json:"address"` // "0000:3b:00.0"
	Driver   string `json:"driver"`  // "" if none
	Override string `json:"override,omitempty"`
	Group    string `json:"group,omitempty"` // IOMMU group, "" without IOMMU
	Class    string `json:"class,omitempty"` // "0x020000"
	Vendor   string `json:"vendor,omitempty"`
	Product  string `json:"product,omitempty"`
}

// Source returns the name of the source, "pci:0000:3b:00.0".
func (d *Device) Source() string { return "pci:" + d.Address }

// A Use is something that would lose the function.
type Use struct {
	Kind UseKind `json:"kind"`
	What string  `json:"what"`           // one clause: "eth0 is up and carries the default route"
	Cure string  `json:"cure,omitempty"` // how to end it: "ip link set eth0 down"
}

// A UseKind says of which kind a use is.
type UseKind string

// The kinds of use.
const (
	UseMount     UseKind = "mount"
	UseSwap      UseKind = "swap"
	UseBlock     UseKind = "block"   // a block device that the kernel holds for something else, as LVM, RAID or ZFS
	UseNetwork   UseKind = "network" // an interface that is up
	UseConsole   UseKind = "console"
	UseInput     UseKind = "input"
	UseProcess   UseKind = "process" // has a device node of the function open
	UseGroup     UseKind = "group"   // another function of the IOMMU group
	UseVirtual   UseKind = "virtual" // virtual functions (SR-IOV)
	UseConnected UseKind = "connected"
)

// A Step writes one file.
type Step struct {
	What  string `json:"what"`           // for people: "take it from e1000e"
	Path  string `json:"path"`           // below the root
	Value string `json:"value"`          // what is written
	Kind  Kind   `json:"kind,omitempty"` // default: an attribute of sysfs
	Undo  *Step  `json:"undo,omitempty"` // nil: nothing to undo
}

// A Kind says how a step writes.
type Kind string

// The kinds of steps.
const (
	Attribute Kind = ""       // an existing file of sysfs
	Create    Kind = "create" // a file of ours, whole
	Remove    Kind = "remove" // a file of ours
)
