package host

import "time"

// A RateSet has interrupts per second between two pictures.
type RateSet struct {
	Elapsed time.Duration `json:"elapsed"`
	IRQs    []Rate        `json:"irqs"`
	Rows    []Rate        `json:"rows"`
	Columns []int         `json:"columns"` // CPU numbers of Rate.PerCPU: those in both pictures
}

// A Rate is that of one row. Counts wrap at 2³², and each CPU's by itself, so the difference is taken per
// CPU and modulo 2³².
type Rate struct {
	IRQ    int       `json:"irq"` // -1 for a row without number
	Label  string    `json:"label"`
	Total  float64   `json:"perSecond"`
	PerCPU []float64 `json:"perCPU,omitempty"`
	// Restarted: the count began anew in between (the irq was freed and requested again), or nobody can tell that
	// from a wrap. Total is then 0.
	Restarted bool `json:"restarted,omitempty"`
}

// Rates returns how often each irq of b fired per second since a. The times must differ, see Machine.Taken.
func Rates(a, b *Machine) (*RateSet, error) { return nil, errTodo }
