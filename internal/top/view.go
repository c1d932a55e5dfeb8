package top

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/internal/term"
)

// View draws the state on the whole screen.
func (m *Model) View() tea.View {
	if m.drawn == "" {
		m.drawn = m.frame()
	}
	v := tea.NewView(m.drawn)
	v.AltScreen = true
	v.WindowTitle = "ivt top"
	return v
}

// frame is the screen: exactly height lines, none wider than width.
func (m *Model) frame() string {
	lines := make([]string, 0, m.height)
	add := func(line string) {
		if len(lines) < m.height-1 {
			lines = append(lines, clipOwn(line, m.width))
		}
	}
	if m.height > 1 {
		add(m.title())
	}
	switch {
	case m.help:
		m.each(helpText(), 0, add)
	case m.picture == nil:
		add("reading …")
	case m.detail != nil:
		m.each(m.detailText(), m.detail.top, add)
	default:
		m.list(add)
	}
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	return strings.Join(append(lines, clipOwn(m.footer(), m.width)), "\n")
}

func (m *Model) each(text []string, from int, add func(string)) {
	for _, line := range text[min(from, len(text)):] {
		add(line)
	}
}

// Small screens do without the line of CPUs first, then without the heading.
func (m *Model) hasCPUs() bool { return m.height >= 8 && m.width >= 30 }
func (m *Model) hasHead() bool { return m.height >= 5 }

// body is how many lines of the list fit.
func (m *Model) body() int {
	n := m.height - 2
	if m.hasCPUs() {
		n--
	}
	if m.hasHead() {
		n--
	}
	return n
}

func (m *Model) list(add func(string)) {
	if m.hasCPUs() {
		add(m.cpus())
	}
	widths := m.layout()
	if m.hasHead() {
		add(m.heading(widths))
	}
	end := min(len(m.lines), m.top+max(1, m.body()))
	for i, l := range m.lines[m.top:end] {
		add(m.line(l, widths, m.top+i == m.at))
	}
	if len(m.lines) == 0 {
		add(paint(term.Dim, "no vector fits"))
	}
}

// title says which machine this is and how it is as a whole.
func (m *Model) title() string {
	parts := []string{paint(term.Bold, "ivt top")}
	if m.frozen {
		parts = append(parts, paint(reverse, " frozen "))
	}
	if m.picture == nil {
		return strings.Join(parts, "  ")
	}
	if !m.feed.Live() {
		parts = append(parts, term.Safe(m.feed.Name()))
	}
	rate, rated := 0.0, false
	for i := range m.picture.Rows {
		if r := m.picture.Rows[i].Rate; r != nil {
			rate, rated = rate+*r, true
		}
	}
	if rated {
		parts = append(parts, paint(heat(rate), short(rate)+"/s"))
	}
	parts = append(parts, fmt.Sprintf("%d vectors, %d CPUs", len(m.picture.Rows), len(m.picture.CPUs)), m.daemon())
	if kernel := m.picture.Machine.Kernel; kernel != "" {
		parts = append(parts, clip(kernel, 40))
	}
	left := strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "  ")
	clock := ""
	if !m.picture.Taken.IsZero() {
		clock = m.picture.Taken.Local().Format("15:04:05")
	}
	if gap := m.width - ansi.StringWidth(left) - len(clock); gap >= 2 {
		return left + strings.Repeat(" ", gap) + paint(term.Dim, clock)
	}
	return left
}

func (m *Model) daemon() string {
	switch d := m.picture.Daemon; {
	case d != nil && d.Waiting > 0:
		return fmt.Sprintf("ivtd: %d connections, %d waiting", d.Connections, d.Waiting)
	case d != nil:
		return fmt.Sprintf("ivtd: %d connections", d.Connections)
	case !m.lost.IsZero():
		return paint(term.Red, "ivtd is gone")
	case m.feed.Live():
		if why := m.unseen(); why != "" && why != picture.Nobody {
			return paint(term.Yellow, "ivtd: "+clip(why, 60))
		}
		return "no ivtd"
	}
	return ""
}

// cpus is a line with a bar for each CPU, or for the busiest of several where there are more CPUs than columns.
func (m *Model) cpus() string {
	cpus := m.picture.CPUs
	highest := 0.0
	for _, c := range cpus {
		highest = max(highest, c.Rate)
	}
	if highest == 0 {
		return paint(term.Dim, fmt.Sprintf("CPUs  %d", len(cpus)))
	}
	tail := "  busiest " + short(highest) + "/s"
	room := max(1, m.width-6-len(tail))
	each := (len(cpus) + room - 1) / room
	var b strings.Builder
	b.WriteString("CPUs  ")
	for group := range slices.Chunk(cpus, each) {
		rate := 0.0
		for _, c := range group {
			rate = max(rate, c.Rate)
		}
		b.WriteString(paint(heat(rate), string(bar(rate/highest))))
	}
	return b.String() + paint(term.Dim, tail)
}

// layout gives each column its width, 0 to those for which there is no room.
func (m *Model) layout() (widths [len(columns)]int) {
	left := m.width
	order := keepOrder()
	for _, c := range order {
		if m.empty(c) {
			continue
		}
		need := m.need(c)
		if c != order[0] {
			need += 2
		}
		if need > left {
			if c == order[0] {
				widths[c] = max(1, left)
			}
			break
		}
		widths[c] = need
		if c != order[0] {
			widths[c] -= 2
		}
		left -= need
	}
	for _, c := range order {
		want := m.widest[c]
		if c == colTrend {
			want = min(longest, max(columns[c].min, m.width/8))
		}
		if grow := min(left, want-widths[c]); widths[c] > 0 && grow > 0 {
			widths[c] += grow
			left -= grow
		}
	}
	return widths
}

// need is how wide a column must be to be worth having. Names are cut only where there is room for little else, numbers never.
func (m *Model) need(c int) int {
	const roomy = 60
	switch {
	case c == colIRQ, c == colCount:
		return m.widest[c]
	case c == colVector && m.width >= roomy:
		return min(m.widest[c], 26)
	case c == colHolder && m.width >= roomy:
		return min(m.widest[c], 16)
	}
	return columns[c].min
}

// empty reports whether a column has nothing to say: rates of a saved machine, nodes where there are none.
func (m *Model) empty(c int) bool {
	switch c {
	case colRate, colTrend:
		return !m.feed.Live()
	case colNode:
		return !slices.ContainsFunc(m.lines, func(l *line) bool { return l.node >= 0 })
	case colCPUs:
		return !slices.ContainsFunc(m.lines, func(l *line) bool { return l.row != nil && l.row.CPUs.Len() > 0 })
	}
	return false
}

// keepOrder has the columns in the order in which they find room.
func keepOrder() []int {
	order := make([]int, len(columns))
	for c := range columns {
		order[columns[c].keep] = c
	}
	return order
}

func (m *Model) heading(widths [len(columns)]int) string {
	cells := []string{}
	for c := range columns {
		if widths[c] == 0 {
			continue
		}
		head := columns[c].head
		if c == m.sort {
			head += map[bool]string{true: "↓", false: "↑"}[columns[c].down != m.reverse]
		}
		cells = append(cells, fit(head, widths[c], columns[c].right))
	}
	return paint(term.Bold, strings.Join(cells, "  "))
}

func (m *Model) line(l *line, widths [len(columns)]int, here bool) string {
	cells := []string{}
	for c := range columns {
		if widths[c] == 0 {
			continue
		}
		text, style := m.cell(l, c, widths[c])
		if here {
			style = plain // reverse video says enough
		}
		cells = append(cells, paint(style, text))
	}
	text := strings.Join(cells, "  ")
	if here {
		return paint(reverse, fit2(text, m.width))
	}
	return text
}

// fit2 fills text of ours up to n columns.
func fit2(s string, n int) string { return s + strings.Repeat(" ", max(0, n-ansi.StringWidth(s))) }

// cell is one column of a line, with its style.
func (m *Model) cell(l *line, c, width int) (text, style string) {
	text = columns[c].cell(l)
	switch c {
	case colVector:
		before, name, after := branch(l)
		text = before + clipLeft(name, width-utf8.RuneCountInString(before+after)) + after
		style = map[bool]string{true: term.Bold, false: stateStyle(l.row)}[l.row == nil]
	case colState, colHolder:
		style = stateStyle(l.row)
	case colRate:
		style = heat(l.rate)
	case colTrend:
		text, style = spark(l.trend, width), heat(l.rate)
	case colIRQ, colCPUs, colDevice, colNode:
		style = term.Dim
	}
	return fit(text, width, columns[c].right), style
}

// branch is the name of a line with its place in the fold around it.
func branch(l *line) (before, name, after string) {
	switch {
	case l.row == nil && l.open:
		return "▾ ", l.group, fmt.Sprintf(" (%d)", l.n)
	case l.row == nil:
		return "▸ ", l.group, fmt.Sprintf(" (%d)", l.n)
	case l.group != "":
		return "    ", l.row.Name, ""
	}
	return "", l.row.Name, ""
}

// footer is what was typed, what is wrong, or what can be done; the first of these.
func (m *Model) footer() string {
	switch {
	case m.typing:
		return fmt.Sprintf("/%s%s  %d of %d", clip(m.filter, max(1, m.width-16)), paint(reverse, " "), m.matched, m.total())
	case m.failure != "":
		return paint(term.Red, clip("cannot read: "+m.failure+"; trying again", m.width))
	case !m.lost.IsZero():
		return paint(term.Red, clip("ivtd gone since "+m.lost.Local().Format("15:04:05")+": "+m.lostWhy+"; trying again", m.width))
	case m.help:
		return "any key: back"
	case m.detail != nil:
		return "Esc back  ↑↓ scroll  q quit"
	case m.filter != "":
		return fmt.Sprintf("filter %s  %d of %d  Esc clears it", clip(m.filter, max(1, m.width-26)), m.matched, m.total())
	}
	return fmt.Sprintf("? help  / filter  s sort  f fold: %s  Enter open  Space freeze  q quit", m.fold)
}

func (m *Model) total() int {
	if m.picture == nil {
		return 0
	}
	return len(m.picture.Rows)
}

func helpText() []string {
	lines := []string{""}
	for _, b := range bindings {
		lines = append(lines, paint(term.Bold, fit(b.show, 8, false))+b.does)
	}
	return lines
}
