package host

import "context"

// An Answer says who holds a target.
type Answer struct {
	Target   string    `json:"target"`
	Kind     string    `json:"kind"`               // what the target was taken for: "vector", "irq", "pci", "dev", "net", "block", "gpio", "uio", "vfio", "pid", "unit", "handler", "row"
	Subject  string    `json:"subject,omitempty"`  // its canonical name
	IRQs     []IRQ     `json:"irqs,omitempty"`     // the irqs concerned
	Devices  []*Device `json:"devices,omitempty"`  // the devices concerned
	Holders  []Holder  `json:"holders"`            // of the target; empty: nobody
	Notes    []string  `json:"notes,omitempty"`    // "36 is also a pid: ivt who pid:36"
	Remedies []string  `json:"remedies,omitempty"` // what the caller may do, commands where there is one
	Blind    []Blind   `json:"blind,omitempty"`
}

// Held reports whether anybody holds the target, known by name or not.
func (a *Answer) Held() bool { return len(a.Holders) > 0 }

// Who answers who holds the target: a vector (pci:0000:3b:00.0/msix/2, irq:36), an irq number, a PCI
// address, a /dev path, a network interface or its queue (eth0, eth0/rx-3), a block device, a GPIO line
// (its name, or gpiochip0/17), pid:4711 or a pid, a unit, the name of a handler or of an architecture row.
// A target that names nothing here is irq.ErrNoSuchDevice, a malformed one irq.ErrInvalidParameter.
func (r *Root) Who(ctx context.Context, target string) (*Answer, error) { return nil, errTodo }
