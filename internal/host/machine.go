package host

import (
	"slices"
	"time"

	"github.com/ivtd/ivt/internal/host/interrupts"
)

// A Machine is one picture of the interrupts of a machine. Which parts of it are filled says Parts.
type Machine struct {
	Parts    Parts     `json:"-"`
	Taken    time.Time `json:"taken,omitzero"`  // when /proc/interrupts was read; zero if a saved machine does not tell
	Booted   time.Time `json:"booted,omitzero"` // btime of /proc/stat
	Kernel   string    `json:"kernel,omitempty"`
	Arch     string    `json:"arch,omitempty"` // as uname -m says, or what the rows of /proc/interrupts show; "" if unknown
	CPUs     CPUs      `json:"cpus"`
	IRQs     []IRQ     `json:"irqs"`               // by number
	Rows     []ArchRow `json:"rows"`               // NMI, LOC, IPI0 … in the kernel's order; a label may occur twice
	Softirqs []ArchRow `json:"softirqs,omitempty"` // PartSystem; Counts[i] belongs to CPU SoftirqColumns[i]
	GPEs     []GPE     `json:"gpes,omitempty"`     // PartSystem: what is behind the SCI
	Cmdline  []string  `json:"cmdline,omitempty"`  // PartSystem: the kernel parameters that concern interrupts
	Devices  []*Device `json:"devices,omitempty"`  // PartDevices: PCI functions, and other devices with interrupts of their own
	Blind    []Blind   `json:"blind,omitempty"`
	// Columns has the CPU number of each column: IRQ.Counts[i] belongs to CPU Columns[i]. Offline CPUs have none.
	Columns []int `json:"columns"`
	// SoftirqColumns are the possible CPUs: /proc/softirqs has a column for offline ones too.
	SoftirqColumns []int `json:"softirqColumns,omitempty"`
	// Problems are the lines of /proc/interrupts that could not be read as they should, with line number and reason.
	Problems []interrupts.Problem `json:"problems,omitempty"`
}

// CPUs are the sets of /sys/devices/system/cpu and node. A set that the machine does not tell is nil.
type CPUs struct {
	Online   CPUSet `json:"online,omitempty"` // without sysfs: the columns of /proc/interrupts
	Possible CPUSet `json:"possible,omitempty"`
	Isolated CPUSet `json:"isolated,omitempty"`
	NohzFull CPUSet `json:"nohzFull,omitempty"`
	Nodes    []Node `json:"nodes,omitempty"`
}

// A Node is a NUMA node with its CPUs.
type Node struct {
	Number int    `json:"node"`
	CPUs   CPUSet `json:"cpus"`
}

// An ArchRow is a row without an irq number: an interrupt of the architecture, an IPI or a softirq.
type ArchRow struct {
	Label       string   `json:"label"`
	Description string   `json:"description,omitempty"`
	Counts      []uint32 `json:"counts,omitempty"` // one a column, nil if !PerCPU; PartCounts
	Total       uint64   `json:"total"`
	PerCPU      bool     `json:"perCPU"` // false for ERR and MIS of older kernels: one count for the machine
}

// A GPE is one file of /sys/firmware/acpi/interrupts (drivers/acpi/sysfs.c): gpe00 to gpeFF, ff_*, sci, error.
type GPE struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
	State string `json:"state,omitempty"` // "EN enabled unmasked", "invalid"; as the kernel writes it
}

// IRQ returns the irq with this number, nil if there is none. The pointer is into m.
func (m *Machine) IRQ(number int) *IRQ {
	i, found := slices.BinarySearchFunc(m.IRQs, number, func(q IRQ, n int) int { return q.Number - n })
	if !found {
		return nil
	}
	return &m.IRQs[i]
}

// Count returns how often q fired on a CPU, by the number of the CPU; 0 for one without column. PartCounts.
func (m *Machine) Count(q *IRQ, cpu int) uint32 {
	for i, c := range m.Columns {
		if c == cpu && i < len(q.Counts) {
			return q.Counts[i]
		}
	}
	return 0
}
