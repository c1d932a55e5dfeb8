package host

import (
	"fmt"
	"slices"
	"time"

	"github.com/ivtd/ivt/irq"
)

// A RateSet has interrupts per second between two pictures.
type RateSet struct {
	Elapsed time.Duration `json:"elapsed"`
	Columns []int         `json:"columns"` // CPU numbers of Rate.PerCPU: those in both pictures
	IRQs    []Rate        `json:"irqs"`    // of the irqs in both
	Rows    []Rate        `json:"rows"`
}

// A Rate is that of one row.
type Rate struct {
	IRQ    int       `json:"irq"` // -1 for a row without number
	Label  string    `json:"label"`
	Total  float64   `json:"perSecond"`
	PerCPU []float64 `json:"perCPU,omitempty"` // nil if one of the pictures has no counts
	// Restarted: the count began anew in between, because the irq was given back and requested again. Total is then 0.
	Restarted bool `json:"restarted,omitempty"`
	// Uncertain: the count fell, and the time between is so long that nobody can tell a wrap from a new beginning.
	// Total is then 0.
	Uncertain bool `json:"uncertain,omitempty"`
}

// Rates returns how often each irq of b fired per second since a. Counts wrap at 2³², and each CPU's by itself,
// so the difference is taken per CPU and modulo 2³²; a picture without counts (PartCounts) gives rates of the
// totals as long as these grow. The times of the pictures must be known and differ, else it is
// irq.ErrInvalidParameter.
func Rates(a, b *Machine) (*RateSet, error) {
	elapsed := b.Taken.Sub(a.Taken)
	if a.Taken.IsZero() || b.Taken.IsZero() || elapsed <= 0 {
		return nil, &irq.Error{Code: irq.ErrInvalidParameter, Operation: "compute rates", Reason: irq.ReasonMalformed,
			Detail:   fmt.Sprintf("the pictures were taken at %s and %s", when(a.Taken), when(b.Taken)),
			Remedies: []string{"give the earlier picture first; ivt save writes the time into each"}}
	}
	c := newComparison(a, b, elapsed)
	set := &RateSet{Elapsed: elapsed, Columns: c.columns, IRQs: make([]Rate, 0, len(b.IRQs))}
	for i := range b.IRQs {
		q := &b.IRQs[i]
		if p := a.IRQ(q.Number); p != nil {
			r := c.rate(p.Counts, q.Counts, p.Total, q.Total)
			r.IRQ, r.Label = q.Number, q.Name()
			if !sameIRQ(p, q) {
				r = Rate{IRQ: q.Number, Label: r.Label, Restarted: true}
			}
			set.IRQs = append(set.IRQs, r)
		}
	}
	for i, row := range b.Rows {
		if p := sameRow(a, b, i); p != nil {
			r := c.rate(p.Counts, row.Counts, p.Total, row.Total)
			r.IRQ, r.Label = -1, row.Label
			set.Rows = append(set.Rows, r)
		}
	}
	return set, nil
}

func when(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.Format(time.RFC3339Nano)
}

// sameIRQ reports whether a number means the same interrupt in both pictures. A changed set of handlers alone
// is the same line.
func sameIRQ(p, q *IRQ) bool { return p.Chip == q.Chip && p.HWIRQ == q.HWIRQ }

// sameRow finds row i of b in a: the one of the same label, and where a label occurs twice, the same occurrence.
func sameRow(a, b *Machine, i int) *ArchRow {
	nth := 0
	for _, row := range b.Rows[:i] {
		if row.Label == b.Rows[i].Label {
			nth++
		}
	}
	for j := range a.Rows {
		if a.Rows[j].Label == b.Rows[i].Label {
			if nth == 0 {
				return &a.Rows[j]
			}
			nth--
		}
	}
	return nil
}

// A comparison takes differences of counts. before and after have the columns of the CPUs in both pictures.
type comparison struct {
	columns, before, after []int
	whole                  bool // neither picture has another CPU
	seconds                float64
}

func newComparison(a, b *Machine, elapsed time.Duration) *comparison {
	c := &comparison{seconds: elapsed.Seconds()}
	for i, cpu := range b.Columns {
		if j := slices.Index(a.Columns, cpu); j >= 0 {
			c.columns, c.before, c.after = append(c.columns, cpu), append(c.before, j), append(c.after, i)
		}
	}
	c.whole = len(c.columns) == len(a.Columns) && len(c.columns) == len(b.Columns)
	return c
}

// fastest is the most interrupts a second that one CPU is believed to take from one row. An empty loop of a vector's
// entry and exit on a fast x86 is about two million.
const fastest = 4e6

func (c *comparison) rate(before, after []uint32, total, totalAfter uint64) (r Rate) {
	if before == nil || after == nil {
		return c.totalRate(total, totalAfter)
	}
	r.PerCPU = make([]float64, len(c.columns))
	sum := uint64(0)
	for i := range c.columns {
		x, y := before[c.before[i]], after[c.after[i]]
		delta := y - x // modulo 2³²
		sum += uint64(delta)
		switch {
		case y >= x:
		case float64(delta) > fastest*c.seconds:
			return Rate{Restarted: true}
		case x < 1<<31: // more than 2³¹ in between, or a new beginning
			return Rate{Uncertain: true}
		}
		r.PerCPU[i] = float64(delta) / c.seconds
	}
	r.Total = float64(sum) / c.seconds
	return r
}

// totalRate is for rows without a count per CPU. A total of many CPUs falls when one of them wraps.
func (c *comparison) totalRate(before, after uint64) Rate {
	if after < before || !c.whole {
		return Rate{Uncertain: true}
	}
	return Rate{Total: float64(after-before) / c.seconds}
}
