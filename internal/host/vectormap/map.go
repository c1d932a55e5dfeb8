package vectormap

import (
	"cmp"
	"slices"
)

// A Method is how a map was read.
type Method string

// The methods, best first.
const (
	MethodDebugfs   Method = "debugfs"   // the kernel prints the map itself
	MethodKcore     Method = "kcore"     // read from memory through /proc/kcore
	MethodBPF       Method = "bpf"       // read from memory through a BPF program
	MethodInference Method = "inference" // counted from effective affinities: no vectors, no limits
)

// Unknown stands for a number that the method could not see.
const Unknown = -1

// A Map is the vectors of all CPUs at one moment.
type Map struct {
	Method Method  `json:"method"`
	Passes int     `json:"passes,omitempty"` // sweeps until two in a row were equal; 0 for inference
	Blind  []Blind `json:"blind,omitempty"`  // what could not be seen, best method first
	Global Global  `json:"global"`
	CPUs   []CPU   `json:"cpus"` // by number; offline ones too where the method sees them
	IRQs   []IRQ   `json:"irqs"` // by number; those with a vector, and those known to wait for one
}

// Blind is something that a map does not show.
type Blind struct {
	Method Method `json:"method"`         // the method that could not
	What   string `json:"what"`           // what is not seen
	Why    string `json:"why"`            // one clause
	Cure   string `json:"cure,omitempty"` // what would reveal it
}

// Global has the totals over the online CPUs, each [Unknown] where the method does not see it.
type Global struct {
	Online    int   `json:"online"`    // CPUs
	First     int   `json:"first"`     // the first vector that devices can have
	End       int   `json:"end"`       // one past the last that they can have
	Available int   `json:"available"` // vectors free for devices
	Allocated int   `json:"allocated"` // in use
	Reserved  int   `json:"reserved"`  // promised to interrupts that have none yet; they hold no place on a CPU
	Managed   int   `json:"managed"`   // set aside on CPUs for managed interrupts, used or not
	System    []int `json:"system"`    // vectors that the kernel keeps, on every CPU
}

// A CPU is one processor's part of the map. Counters are [Unknown] where the method does not see them; an offline CPU
// keeps its counters and what is set aside on it, but counts in no total.
type CPU struct {
	Number           int    `json:"cpu"`
	Online           bool   `json:"online"`
	Available        int    `json:"available"`        // free for devices
	Allocated        int    `json:"allocated"`        // in use; by inference, irqs whose effective affinity is this CPU
	Managed          int    `json:"managed"`          // set aside for managed interrupts
	ManagedAllocated int    `json:"managedAllocated"` // of those, in use
	Slots            []Slot `json:"slots,omitempty"`  // by vector; free ones are left out
}

// A Slot is one vector of one CPU that is not plainly free.
type Slot struct {
	Vector  int   `json:"vector"`
	State   State `json:"state"`
	IRQ     int   `json:"irq"`               // Unknown where State names none
	Managed bool  `json:"managed,omitempty"` // the place is set aside for a managed interrupt
}

// A State says what a slot is.
type State string

// The states of a slot.
const (
	StateLive        State = "live"        // an interrupt is delivered here
	StateCleanup     State = "cleanup"     // the old place of an interrupt that moved; held until the next one arrives
	StateManaged     State = "managed"     // set aside for a managed interrupt that is not started
	StateLegacy      State = "legacy"      // an interrupt of the old PIC, the same on every CPU
	StateShutdown    State = "shutdown"    // free: the last user was shut down (VECTOR_SHUTDOWN)
	StateRetriggered State = "retriggered" // free: an interrupt was resent from here (VECTOR_RETRIGGERED)
)

// InUse reports whether nobody else can have the vector.
func (s State) InUse() bool { return s == StateLive || s == StateCleanup || s == StateLegacy }

// An IRQ is one Linux interrupt and its place. Vector 0 means that it has none now, or that the method does not say.
type IRQ struct {
	Number         int      `json:"irq"`
	Actions        string   `json:"actions,omitempty"`        // who handles it, as /sys/kernel/irq/N/actions says
	Chips          []string `json:"chips,omitempty"`          // outermost first, e.g. IR-PCI-MSI, INTEL-IR, APIC
	CPU            int      `json:"cpu"`                      // Unknown if it has no place
	Vector         int      `json:"vector,omitempty"`         //
	PreviousCPU    int      `json:"previousCPU,omitempty"`    // with PreviousVector: where it was before a move that is not over
	PreviousVector int      `json:"previousVector,omitempty"` //
	Moving         bool     `json:"moving,omitempty"`         // the move waits for the next interrupt
	Managed        bool     `json:"managed,omitempty"`        // the kernel places it; user space may not
	CanReserve     bool     `json:"canReserve,omitempty"`     // takes a vector only once it is started
	Reserved       bool     `json:"reserved,omitempty"`       // promised one, has none
	Legacy         bool     `json:"legacy,omitempty"`         // delivered by the old PIC
}

// Exact reports whether the map has the kernel's own vectors.
func (m *Map) Exact() bool { return m.Method != MethodInference }

// Counted reports whether it also has the numbers of the kernel's allocator: what is free, managed and promised.
func (m *Map) Counted() bool { return m.Exact() && m.Global.Available != Unknown }

// Full returns the online CPUs that have no vector free, by number. It is empty if the map is not [Map.Counted].
func (m *Map) Full() []int {
	var full []int
	for _, c := range m.CPUs {
		if c.Online && c.Available == 0 {
			full = append(full, c.Number)
		}
	}
	return full
}

// CPU returns the CPU with this number, nil if the map has none.
func (m *Map) CPU(number int) *CPU {
	i, ok := slices.BinarySearchFunc(m.CPUs, number, func(c CPU, n int) int { return cmp.Compare(c.Number, n) })
	if !ok {
		return nil
	}
	return &m.CPUs[i]
}

// IRQ returns the interrupt with this number, nil if the map has none.
func (m *Map) IRQ(number int) *IRQ {
	i, ok := slices.BinarySearchFunc(m.IRQs, number, func(q IRQ, n int) int { return cmp.Compare(q.Number, n) })
	if !ok {
		return nil
	}
	return &m.IRQs[i]
}

// boundaries derives where the vectors for devices start and end: from those of the range that the kernel does not keep.
func (g *Global) boundaries(start, end int) {
	kept := map[int]bool{}
	for _, v := range g.System {
		kept[v] = true
	}
	for g.First = start; g.First < end && kept[g.First]; g.First++ {
	}
	for g.End = end; g.End > g.First && kept[g.End-1]; g.End-- {
	}
}
