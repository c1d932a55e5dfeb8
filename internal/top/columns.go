package top

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/internal/picture"
)

// A column is one property of a line, for the live view, --once and --json alike.
type column struct {
	head  string
	right bool // numbers
	min   int  // a narrower one is left out
	keep  int  // the columns with the lowest are kept longest
	cell  func(*line) string
	less  func(a, b *line) int
	down  bool // sorted with the largest first
}

// The columns, as they are in columns.
const (
	colIRQ = iota
	colVector
	colState
	colRate
	colTrend
	colCount
	colCPUs
	colNode
	colHolder
	colDevice
)

var columns = [...]column{
	colIRQ:    {head: "IRQ", right: true, min: 3, keep: 4, cell: irqCell, less: func(a, b *line) int { return cmp.Compare(a.number(), b.number()) }},
	colVector: {head: "VECTOR", min: 8, keep: 0, cell: func(l *line) string { return l.name() }, less: func(a, b *line) int { return natural(a.name(), b.name()) }},
	colState:  {head: "STATE", min: 9, keep: 3, cell: stateCell, less: func(a, b *line) int { return strings.Compare(stateCell(a), stateCell(b)) }},
	colRate: {head: "RATE", right: true, min: 6, keep: 1, cell: rateCell, down: true,
		less: func(a, b *line) int { return cmp.Compare(a.rate, b.rate) }},
	colTrend: {head: "TREND", min: 8, keep: 5, cell: func(*line) string { return "" }, down: true,
		less: func(a, b *line) int { return cmp.Compare(sum(a.trend), sum(b.trend)) }},
	colCount: {head: "COUNT", right: true, min: 6, keep: 6, cell: countCell, down: true,
		less: func(a, b *line) int { return cmp.Compare(a.count, b.count) }},
	colCPUs:   {head: "CPUS", min: 4, keep: 7, cell: cpusCell, less: func(a, b *line) int { return cmp.Compare(a.firstCPU(), b.firstCPU()) }},
	colNode:   {head: "NODE", right: true, min: 4, keep: 9, cell: nodeCell, less: func(a, b *line) int { return cmp.Compare(a.node, b.node) }},
	colHolder: {head: "HOLDER", min: 8, keep: 2, cell: holderCell, less: func(a, b *line) int { return natural(holderCell(a), holderCell(b)) }},
	colDevice: {head: "DEVICE", min: 8, keep: 8, cell: deviceCell, less: func(a, b *line) int { return natural(deviceCell(a), deviceCell(b)) }},
}

func irqCell(l *line) string {
	if n := l.number(); n >= 0 {
		return strconv.Itoa(n)
	}
	return ""
}

// stateCell is the state as people call it.
func stateCell(l *line) string {
	if l.row == nil {
		return fmt.Sprintf("%d held", l.held)
	}
	text := string(l.row.State)
	switch {
	case l.row.Storm:
		text = "storm"
	case l.row.Masked:
		text = "masked"
	}
	if l.row.Waiting > 0 {
		text += fmt.Sprintf(" +%d", l.row.Waiting)
	}
	return text
}

func rateCell(l *line) string {
	if !l.rated {
		return ""
	}
	return short(l.rate)
}

func countCell(l *line) string {
	if !l.counted {
		return ""
	}
	return strconv.FormatUint(l.count, 10)
}

func cpusCell(l *line) string {
	if l.row == nil {
		return ""
	}
	return l.row.CPUs.String()
}

func nodeCell(l *line) string {
	if l.node < 0 {
		return ""
	}
	return strconv.Itoa(l.node)
}

func holderCell(l *line) string {
	if l.row == nil {
		return ""
	}
	return l.row.Who()
}

// deviceCell leaves out what the vector's name says already.
func deviceCell(l *line) string {
	if l.row == nil || strings.HasPrefix(l.row.Name, l.row.Device) {
		return ""
	}
	return l.row.Device
}

// short is a rate in at most five columns: "0", "0.5", "12", "9.8k", "120k", "1.2M".
func short(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 9.95:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case x < 9999.5:
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	for _, unit := range "kMGT" {
		if x /= 1000; x < 99.95 {
			return strconv.FormatFloat(x, 'f', 1, 64) + string(unit)
		} else if x < 999.5 {
			return strconv.FormatFloat(x, 'f', 0, 64) + string(unit)
		}
	}
	return "many"
}

// natural compares as people do: soft:demo/9 before soft:demo/10.
func natural(a, b string) int {
	for a != "" && b != "" {
		if !digit(a[0]) || !digit(b[0]) {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		m, n := digits(a), digits(b)
		x, y := strings.TrimLeft(a[:m], "0"), strings.TrimLeft(b[:n], "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
			return c
		}
		a, b = a[m:], b[n:]
	}
	return cmp.Compare(len(a), len(b))
}

func digit(c byte) bool { return c-'0' <= 9 }

func digits(s string) int {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return n
}

func sum(trend []float32) (s float32) {
	for _, x := range trend {
		s += x
	}
	return s
}

// document is a row of --json: the columns.
type document struct {
	Vector string    `json:"vector"`
	IRQ    *int      `json:"irq,omitempty"`
	State  string    `json:"state"`
	Rate   *float64  `json:"rate,omitempty"` // a second; not there with one picture only
	Trend  []float32 `json:"trend,omitempty"`
	Count  *uint64   `json:"count,omitempty"`
	CPUs   string    `json:"cpus,omitempty"`
	Node   *int      `json:"node,omitempty"`
	Holder string    `json:"holder,omitempty"`
	Device string    `json:"device,omitempty"`
}

func documentOf(r *picture.Row, l *line) document {
	d := document{Vector: r.Name, State: stateCell(l), Rate: r.Rate, Trend: l.trend, Count: r.Total, CPUs: cpusCell(l), Holder: holderCell(l), Device: r.Device}
	if n := l.number(); n >= 0 {
		d.IRQ = &n
	}
	if l.node >= 0 {
		d.Node = &l.node
	}
	return d
}
