package host

import (
	"time"

	"github.com/ivtd/ivt/irq"
)

// An IRQ is one Linux interrupt: a row of /proc/interrupts and what sysfs and others say of it.
type IRQ struct {
	Number int      `json:"irq"`
	Counts []uint32 `json:"counts,omitempty"` // PartCounts: one a column of Machine.Columns; they wrap at 2³²
	Total  uint64   `json:"total"`
	// Misaligned: the row has more or fewer counts than the header has CPUs (a CPU came or went during the
	// read, or the file is cut). Total is right as far as the row goes, Counts is nil: nobody knows whose they are.
	Misaligned bool      `json:"misaligned,omitempty"`
	Chip       string    `json:"chip,omitempty"`
	HWIRQ      int64     `json:"hwirq"`             // -1 if the row has none
	Flow       string    `json:"flow,omitempty"`    // "edge", "fasteoi", "level", "event" …: the flow handler's name, where shown
	Trigger    string    `json:"trigger,omitempty"` // "edge", "level" or "" if not known
	Handlers   []Handler `json:"handlers,omitempty"`

	// Device is the device that raises it, exact for MSI. On a line Devices has all that are wired to it;
	// Device is then the only one or nil.
	Device  *Device   `json:"-"`
	Devices []*Device `json:"-"`
	Source  string    `json:"device,omitempty"` // "pci:0000:3b:00.0", or the platform device's name; "" if not known
	Driver  string    `json:"driver,omitempty"` // of Device; several are joined by ", "
	MSI     string    `json:"msi,omitempty"`    // "msi", "msix", "" for lines or if not known
	Index   int       `json:"index"`            // MSI or MSI-X index, -1 if not known
	// Vector is the canonical name where there is one: pci:0000:3b:00.0/msix/2. Zero otherwise; Name is never empty.
	Vector irq.Vector `json:"vector,omitzero"`

	Affinity *Affinity `json:"affinity,omitempty"` // PartAffinity
	Spurious *Spurious `json:"spurious,omitempty"` // PartSpurious
	Debug    *Debug    `json:"debug,omitempty"`    // PartDescriptors, where debugfs is on and readable
	Wakeup   string    `json:"wakeup,omitempty"`   // PartDescriptors: "enabled", "disabled"
	Holders  []Holder  `json:"holders,omitempty"`  // kernel drivers always, processes with PartHolders
}

// A Handler is one action of an irq.
type Handler struct {
	Name     string `json:"name"`
	Thread   int    `json:"thread,omitempty"`   // PartThreads: pid of the kernel thread irq/N-name, 0 if there is none
	Policy   string `json:"policy,omitempty"`   // of the thread: "fifo", "rr", "other"
	Priority int    `json:"priority,omitempty"` // of the thread, 1 to 99 for fifo and rr
}

// Affinity is what /proc/irq/N says of the CPUs. Sets are nil where the kernel has no such file.
type Affinity struct {
	Asked     CPUSet  `json:"asked"`     // smp_affinity_list
	Effective CPUSet  `json:"effective"` // effective_affinity_list
	Hint      CPUSet  `json:"hint,omitempty"`
	Node      int     `json:"node"`     // -1 if none
	Settable  Verdict `json:"settable"` // by the administrator; Unknown before Linux 6.12, where the file mode does not tell
	Managed   Verdict `json:"managed"`
	// ManagedBy says how Managed is known: "debugfs", or "file mode" (inferred, MSI with mode 0444).
	ManagedBy string `json:"managedBy,omitempty"`
}

// Spurious is /proc/irq/N/spurious. Unhandled counts within the present 100,000 interrupts.
type Spurious struct {
	Count     uint64        `json:"count"` // starts again at 100,000
	Unhandled uint64        `json:"unhandled"`
	Last      time.Duration `json:"lastUnhandled"` // since boot, 0 if never; modulo 49 days
}

// Debug is /sys/kernel/debug/irq/irqs/N (CONFIG_GENERIC_IRQ_DEBUGFS).
type Debug struct {
	Handler string   `json:"handler,omitempty"` // handle_edge_irq …
	Device  string   `json:"device,omitempty"`
	Depth   int      `json:"ddepth"`          // > 0: disabled
	Flags   []string `json:"flags,omitempty"` // IRQD_AFFINITY_MANAGED, IRQS_SPURIOUS_DISABLED …
	Vector  int      `json:"cpuVector"`       // x86: the CPU's vector, -1 if not shown
	Target  int      `json:"cpuTarget"`       // x86: the CPU, -1 if not shown
	Domain  []string `json:"domains,omitempty"`
}

// Name returns the canonical name: the vector's, or "irq:36".
func (q *IRQ) Name() string {
	if !q.Vector.IsZero() {
		return q.Vector.String()
	}
	return irq.Vector{Source: "irq", Index: q.Number}.String()
}

// A Verdict is yes, no or unknown.
type Verdict uint8

// The verdicts.
const (
	Unknown Verdict = iota
	No
	Yes
)

// String returns "unknown", "no" or "yes".
func (v Verdict) String() string { return [...]string{"unknown", "no", "yes"}[v%3] }

// MarshalText returns String.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }
