package top

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/internal/picture"
)

// A fold says by what lines are put together.
type fold int

const (
	foldNone fold = iota
	foldDevice
	foldNode
	foldCPU
	folds
)

func (f fold) String() string { return [...]string{"none", "device", "node", "CPU"}[f] }

// A line is a vector, or a group of them.
type line struct {
	row     *picture.Row // nil: a group
	group   string       // the group's name; of a vector in a group: that in which it is
	column  int          // of the group's CPU, -1
	open    bool
	n, held int
	members []*line

	rate    float64
	rated   bool
	count   uint64
	counted bool
	node    int
	trend   []float32 // the latest last
}

// key tells lines apart over time: the cursor stays on it.
func (l *line) key() string {
	if l.row == nil {
		return "\x00" + l.group
	}
	return l.group + "\x00" + l.row.Name
}

func (l *line) name() string {
	if l.row == nil {
		return l.group
	}
	return l.row.Name
}

func (l *line) number() int {
	if l.row != nil && (l.row.IRQ != 0 || l.row.Timer) {
		return l.row.IRQ
	}
	return -1
}

func (l *line) firstCPU() int {
	if l.row != nil {
		for cpu := range l.row.CPUs.All {
			return cpu
		}
	}
	return -1
}

func lineOf(r *picture.Row, trend []float32) *line {
	l := &line{row: r, column: -1, node: r.Node, trend: trend}
	if r.Rate != nil {
		l.rate, l.rated = *r.Rate, true
	}
	if r.Total != nil {
		l.count, l.counted = *r.Total, true
	}
	return l
}

// settle makes the lines anew from picture, filter, fold and order. The cursor stays on its line.
func (m *Model) settle() {
	if m.picture == nil {
		return
	}
	filters := parseFilter(m.filter)
	all := make([]*line, 0, len(m.picture.Rows))
	for i := range m.picture.Rows {
		r := &m.picture.Rows[i]
		if !slices.ContainsFunc(filters, func(f picture.Filter) bool { return !f.Match(r) }) {
			all = append(all, lineOf(r, m.trends.of(r.Name)))
		}
	}
	m.matched = len(all)
	m.lines = m.order(all)
	if m.fold != foldNone {
		m.lines = m.folded(all)
	}
	m.measure()
	m.follow()
}

// order sorts by the chosen column; equals stay as the machine has them.
func (m *Model) order(lines []*line) []*line {
	c := &columns[m.sort]
	slices.SortStableFunc(lines, func(a, b *line) int {
		if m.reverse != c.down {
			a, b = b, a
		}
		return c.less(a, b)
	})
	return lines
}

func (m *Model) folded(all []*line) []*line {
	groups := m.groups(all)
	lines := make([]*line, 0, len(groups))
	for _, g := range m.order(groups) {
		lines = append(lines, g)
		if g.open = m.opened[g.group]; g.open {
			lines = append(lines, m.order(g.members)...)
		}
	}
	return lines
}

func (m *Model) groups(all []*line) []*line {
	g := grouping{index: map[string]*line{}}
	for _, l := range all {
		switch m.fold {
		case foldDevice:
			g.add(orElse(l.row.Device, l.row.Source, "no device"), -1, l)
		case foldNode:
			if l.row.Node < 0 {
				g.add("no node", -1, l)
			} else {
				g.add("node "+strconv.Itoa(l.row.Node), -1, l)
			}
		case foldCPU:
			m.byCPU(&g, l)
		}
	}
	for _, group := range g.list {
		if group.column >= 0 {
			group.trend = m.trends.of(group.group)
		}
	}
	return g.list
}

// byCPU puts a vector to the CPUs where it fired since the picture before, or ever where there is none; else to the
// one where it would.
func (m *Model) byCPU(g *grouping, l *line) {
	found := false
	put := func(column int, part line) {
		if column < len(m.picture.CPUs) {
			cpu := m.picture.CPUs[column]
			part.row, part.node, part.trend = l.row, cpu.Node, nil
			g.add("CPU "+strconv.Itoa(cpu.Number), column, &part)
			found = true
		}
	}
	for _, h := range l.row.Hits {
		put(h.Column, line{rate: h.Rate, rated: true})
	}
	if !l.rated {
		for c, n := range l.row.Counts {
			if n > 0 {
				put(c, line{count: uint64(n), counted: true})
			}
		}
	}
	if first := l.firstCPU(); !found && first >= 0 && l.row.CPUs.Len() == 1 {
		c := slices.IndexFunc(m.picture.CPUs, func(c picture.CPU) bool { return c.Number == first })
		if c >= 0 {
			put(c, line{rate: 0, rated: l.rated})
		}
	}
	if !found {
		g.add("no CPU", -1, l)
	}
}

// grouping collects groups in the order in which they are found.
type grouping struct {
	index map[string]*line
	list  []*line
}

func (g *grouping) add(name string, column int, l *line) {
	group := g.index[name]
	if group == nil {
		group = &line{group: name, column: column, node: l.node}
		g.index[name] = group
		g.list = append(g.list, group)
	}
	l.group = name
	group.members = append(group.members, l)
	group.n++
	if l.row.Held() {
		group.held++
	}
	group.rate, group.rated = group.rate+l.rate, group.rated || l.rated
	group.count, group.counted = group.count+l.count, group.counted || l.counted
	group.trend = addTrend(group.trend, l.trend)
	if group.node != l.node {
		group.node = -1
	}
}

// addTrend adds two trends that end at the same moment.
func addTrend(a, b []float32) []float32 {
	if len(b) == 0 {
		return a
	}
	both := make([]float32, max(len(a), len(b)))
	copy(both[len(both)-len(a):], a)
	for i, x := range b {
		both[len(both)-len(b)+i] += x
	}
	return both
}

// parseFilter reads what somebody typed: words that must all be found in a row, and held, free, cpu:N, pid:N, unit:U
// and driver:D.
func parseFilter(s string) (filters []picture.Filter) {
	for word := range strings.FieldsSeq(s) {
		f := picture.Filter{CPU: -1}
		key, value, _ := strings.Cut(word, ":")
		n, err := strconv.Atoi(value)
		switch {
		case word == "held":
			f.Held = true
		case word == "free":
			f.Free = true
		case key == "cpu" && err == nil && n >= 0:
			f.CPU = n
		case key == "pid" && err == nil && n > 0:
			f.PID = n
		case key == "unit" && value != "":
			f.Unit = value
		case key == "driver" && value != "":
			f.Driver = value
		default:
			f.Text = word
		}
		filters = append(filters, f)
	}
	return filters
}

func orElse(choices ...string) string {
	for _, s := range choices {
		if s != "" {
			return s
		}
	}
	return ""
}
