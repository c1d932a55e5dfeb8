package vectormap

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/internal/term"
)

// Style says what Write shows.
type Style struct {
	// CPUs are those whose slots are listed one by one; nil lists all if there are at most 8.
	CPUs []int
}

const (
	slotsByDefault = 8  // CPUs
	rowsByDefault  = 24 // of the table of CPUs; beyond that a grid and the fullest
	fullest        = 8
)

// Write writes the map for people: where it is from, totals, how full each CPU is, who has the vectors, and what could
// not be seen. CPUs in a row that have equal numbers share a line, and on a machine where that is still too much a grid
// shows one character a CPU.
func (m *Map) Write(o term.Output, s Style) error {
	var b strings.Builder
	out := o
	out.Writer = &b
	b.WriteString(wrap(m.heading(), o.Width, ""))
	rows := m.groups()
	if len(rows) > rowsByDefault {
		m.grid(&b, o.Width)
		b.WriteString("\nthe fullest:\n")
		slices.SortStableFunc(rows, func(a, b group) int { return cmp.Compare(b.inUse(), a.inUse()) })
		rows = rows[:fullest]
	}
	m.table(out, rows)
	m.slots(out, s)
	if full := m.Full(); len(full) > 0 {
		b.WriteString(wrap("\nno vector left on CPU "+list(full), o.Width, "  "))
	}
	for i, blind := range m.Blind {
		if i == 0 {
			b.WriteByte('\n')
		}
		b.WriteString(wrap("not seen by "+blind.String(), o.Width, "  "))
	}
	_, err := io.WriteString(o, b.String())
	return err
}

// String returns "method: what: why; try: cure".
func (b Blind) String() string {
	s := string(b.Method) + ": " + b.What + ": " + b.Why
	if b.Cure != "" {
		s += "; try: " + b.Cure
	}
	return term.Safe(s)
}

func (m *Map) heading() string {
	g := &m.Global
	if !m.Exact() {
		return fmt.Sprintf("%d interrupts on %d CPUs, counted by effective affinity: which vectors they have and how many are left is not known",
			g.Allocated, g.Online)
	}
	from := map[Method]string{MethodDebugfs: "debugfs", MethodKcore: "/proc/kcore", MethodBPF: "memory by BPF"}[m.Method]
	if !m.Counted() {
		return fmt.Sprintf("vectors of %d CPUs, from %s, settled in %d readings: %d in use; how many are left is not known",
			g.Online, from, m.Passes, g.Allocated)
	}
	return fmt.Sprintf("vectors %#x to %#x of %d CPUs, from %s, settled in %d readings: %d free, %d in use, %d set aside for managed irqs, %d promised",
		g.First, g.End-1, g.Online, from, m.Passes, g.Available, g.Allocated, g.Managed, g.Reserved)
}

// A group is CPUs in a row with equal numbers.
type group struct {
	CPU
	last int
}

// inUse is the share of vectors that nobody else can have.
func (c *CPU) inUse() float64 {
	if c.Available < 0 || c.Allocated+c.Available == 0 {
		return float64(c.Allocated)
	}
	taken := c.Allocated + c.Managed - c.ManagedAllocated
	return float64(taken) / float64(taken+c.Available)
}

func (m *Map) groups() []group {
	var rows []group
	for _, c := range m.CPUs {
		if n := len(rows); n > 0 {
			r := &rows[n-1]
			if r.last+1 == c.Number && r.Online == c.Online && r.Available == c.Available && r.Allocated == c.Allocated &&
				r.Managed == c.Managed && r.ManagedAllocated == c.ManagedAllocated {
				r.last = c.Number
				continue
			}
		}
		rows = append(rows, group{c, c.Number})
	}
	return rows
}

func (m *Map) table(o term.Output, rows []group) {
	t := term.Table{Columns: []term.Column{{Head: "CPU", Fixed: true}, {Head: "FREE", Right: true, Fixed: true},
		{Head: "IN USE", Right: true, Fixed: true}, {Head: "MANAGED", Right: true, Fixed: true}, {Head: "FULL", Right: true, Fixed: true},
		{}}}
	for _, r := range rows {
		cells := []string{strconv.Itoa(r.Number), "", strconv.Itoa(r.Allocated)}
		if r.last > r.Number {
			cells[0] += "-" + strconv.Itoa(r.last)
		}
		if m.Counted() {
			cells[1] = strconv.Itoa(r.Available)
			managed := ""
			if r.Managed > 0 {
				managed = fmt.Sprintf("%d of %d", r.ManagedAllocated, r.Managed)
			}
			cells = append(cells, managed, strconv.Itoa(int(100*r.inUse()))+"%", bar(&r.CPU, min(20, max(o.Width-37, 1))))
		}
		t.StyledRow(style(&r.CPU, m.Counted()), cells...)
	}
	t.Write(o)
}

func style(c *CPU, counted bool) string {
	switch {
	case !c.Online:
		return term.Dim
	case counted && c.Available == 0:
		return term.Red
	case counted && c.inUse() > 0.9:
		return term.Yellow
	}
	return ""
}

// bar shows how full a CPU is.
func bar(c *CPU, width int) string {
	if !c.Online {
		return "offline"
	}
	n := int(c.inUse()*float64(width) + 0.5)
	return strings.Repeat("#", n) + strings.Repeat(".", width-n)
}

// grid shows a character a CPU.
func (m *Map) grid(b *strings.Builder, width int) {
	caption := "a character a CPU: its interrupts, + 10 or more, - offline"
	if m.Counted() {
		caption = "a character a CPU: the tenths that are taken, # no vector left, - offline"
	}
	b.WriteString("\n" + strings.TrimSuffix(wrap(caption, width, ""), "\n"))
	perLine := max((width-7)/9*8, 8)
	next := 0
	for i, c := range m.CPUs {
		for ; next < c.Number; next++ {
			m.gridCell(b, next, perLine, ' ', i == 0)
		}
		m.gridCell(b, c.Number, perLine, gridMark(&c, m.Counted()), i == 0)
		next = c.Number + 1
	}
	b.WriteByte('\n')
}

func (m *Map) gridCell(b *strings.Builder, cpu, perLine int, mark byte, first bool) {
	switch {
	case cpu%perLine == 0 || first:
		fmt.Fprintf(b, "\n%5d  ", cpu/perLine*perLine)
		if first {
			b.WriteString(strings.Repeat(" ", cpu%perLine+cpu%perLine/8))
		}
	case cpu%8 == 0:
		b.WriteByte(' ')
	}
	b.WriteByte(mark)
}

func gridMark(c *CPU, counted bool) byte {
	switch {
	case !c.Online:
		return '-'
	case counted && c.Available == 0:
		return '#'
	case counted:
		return '0' + byte(min(c.inUse()*10, 9))
	case c.Allocated >= 10:
		return '+'
	}
	return '0' + byte(c.Allocated)
}
