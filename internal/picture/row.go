package picture

import (
	"strings"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/irq"
)

// A Row is one vector, whoever knows of it.
type Row struct {
	Name      string       `json:"name"` // canonical: pci:0000:3b:00.0/msix/2, soft:demo/3, irq:9
	Aliases   []string     `json:"aliases,omitempty"`
	IRQ       int          `json:"irq,omitempty"` // Linux irq, 0 if none (irq 0 is the timer: see Timer)
	Timer     bool         `json:"timer,omitempty"`
	State     irq.State    `json:"state"`
	Holders   []irq.Holder `json:"holders"`
	Managed   bool         `json:"ivtd"` // ivtd hands it out
	Source    string       `json:"source,omitempty"`
	Device    string       `json:"device,omitempty"`
	Driver    string       `json:"driver,omitempty"`
	Handlers  []string     `json:"handlers,omitempty"`
	Chip      string       `json:"chip,omitempty"`
	Trigger   string       `json:"trigger,omitempty"`
	Delivery  irq.Delivery `json:"delivery,omitempty"`
	Shareable bool         `json:"shareable,omitempty"`
	Masked    bool         `json:"masked,omitempty"`
	Storm     bool         `json:"storm,omitempty"`
	Waiting   int          `json:"waiting,omitempty"`
	CPUs      host.CPUSet  `json:"cpus,omitempty"` // where it lands: effective affinity
	Asked     host.CPUSet  `json:"asked,omitempty"`
	Node      int          `json:"node"`            // NUMA node of the device, -1 if none is known
	Total     *uint64      `json:"total,omitempty"` // interrupts since boot or since ivtd counts; nil: unknown
	Rate      *float64     `json:"rate,omitempty"`  // a second; nil until there are two pictures
	Counts    []uint32     `json:"-"`               // of each CPU, in the order of the machine's columns
	PerCPU    []float64    `json:"-"`               // rates, likewise
	Hits      []Hit        `json:"-"`               // rates of a Sampler: the CPUs on which it fired
	Reason    string       `json:"reason,omitempty"`
}

// Held reports whether anybody has it.
func (r *Row) Held() bool { return len(r.Holders) > 0 }

// Who names the holders in a few words: "nic-worker[4711]", "eth0-rx-3 (e1000e)", "".
func (r *Row) Who() string {
	if len(r.Handlers) > 0 && len(r.Holders) > 0 && !hasProcess(r.Holders) {
		text := strings.Join(r.Handlers, ", ")
		if r.Driver != "" && !strings.Contains(text, r.Driver) {
			text += " (" + r.Driver + ")"
		}
		return text
	}
	names := make([]string, 0, len(r.Holders))
	for _, h := range r.Holders {
		names = append(names, Short(h))
	}
	return strings.Join(names, ", ")
}

// Short names a holder in a word: command and pid of a process, the handler's name of a kernel driver.
func Short(h irq.Holder) string {
	switch {
	case h.Kind == irq.HolderProcess && h.PID == 0:
		return "a process" // which one is not told
	case h.Kind == irq.HolderProcess && h.Label != "" && h.Label != h.Command:
		return h.Command + "[" + itoa(h.PID) + "] " + h.Label
	case h.Kind == irq.HolderProcess:
		return h.Command + "[" + itoa(h.PID) + "]"
	case h.Kind == irq.HolderKernel && h.Driver != "":
		return h.Driver
	}
	return "?"
}

func hasProcess(holders []irq.Holder) bool {
	for _, h := range holders {
		if h.Kind == irq.HolderProcess {
			return true
		}
	}
	return false
}
