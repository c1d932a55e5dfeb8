package top

import (
	"slices"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// A binding is what some keys do.
type binding struct {
	keys []string
	show string // as help writes them
	does string
	act  func(*Model) tea.Cmd
}

// still is an action without a command.
func still(f func(*Model)) func(*Model) tea.Cmd {
	return func(m *Model) tea.Cmd { f(m); return nil }
}

// bindings of the list, in the order of the help.
var bindings = []binding{
	{[]string{"up", "k"}, "↑ k", "up", still(func(m *Model) { m.scroll(-1) })},
	{[]string{"down", "j"}, "↓ j", "down", still(func(m *Model) { m.scroll(1) })},
	{[]string{"pgup", "ctrl+b"}, "PgUp", "a screen up", still(func(m *Model) { m.scroll(-max(1, m.body())) })},
	{[]string{"pgdown", "ctrl+f"}, "PgDn", "a screen down", still(func(m *Model) { m.scroll(max(1, m.body())) })},
	{[]string{"home", "g"}, "Home g", "to the first", still(func(m *Model) { m.scroll(-1 << 30) })},
	{[]string{"end", "G"}, "End G", "to the last", still(func(m *Model) { m.scroll(1 << 30) })},
	{[]string{"enter", "right", "l"}, "Enter", "open the group, or all about the vector", (*Model).open},
	{[]string{"esc", "left", "backspace"}, "Esc", "back; close the group; clear the filter", still((*Model).back)},
	{[]string{"/"}, "/", "filter: words, held, free, cpu:3, pid:42, unit:U, driver:D", still(func(m *Model) { m.typing, m.detail = true, nil })},
	{[]string{"s", ">"}, "s >", "sort by the next column", still(func(m *Model) { m.sortBy(m.sort + 1) })},
	{[]string{"S", "<"}, "S <", "sort by the column before", still(func(m *Model) { m.sortBy(m.sort - 1) })},
	{[]string{"r"}, "r", "reverse the order", still(func(m *Model) { m.reverse = !m.reverse; m.settle() })},
	{[]string{"f"}, "f", "fold by device, NUMA node, CPU, none", still(func(m *Model) { m.foldBy(m.fold + 1) })},
	{[]string{"F"}, "F", "the fold before", still(func(m *Model) { m.foldBy(m.fold + folds - 1) })},
	{[]string{"space", "p"}, "Space", "freeze, and go on", still(func(m *Model) { m.frozen = !m.frozen })},
	{[]string{"?", "h", "f1"}, "? h", "this help", still(func(m *Model) { m.help = true })},
	{[]string{"ctrl+z"}, "Ctrl-Z", "to the shell; fg comes back", func(*Model) tea.Cmd { return tea.Suspend }},
	{[]string{"q", "ctrl+c"}, "q", "quit", func(*Model) tea.Cmd { return tea.Quit }},
}

// key does what a key means where we are.
func (m *Model) key(msg tea.KeyPressMsg) tea.Cmd {
	name := msg.String()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case m.typing:
		m.typed(msg)
		return nil
	case m.help:
		m.help = false
		return nil
	}
	for _, b := range bindings {
		if slices.Contains(b.keys, name) {
			return b.act(m)
		}
	}
	return nil
}

// typed edits the filter; the lines follow each key.
func (m *Model) typed(msg tea.KeyPressMsg) {
	switch msg.String() {
	case "enter":
		m.typing = false
	case "esc":
		m.typing = false
		m.setFilter("")
	case "backspace", "ctrl+h":
		if m.filter == "" {
			m.typing = false
			return
		}
		_, size := utf8.DecodeLastRuneInString(m.filter)
		m.setFilter(m.filter[:len(m.filter)-size])
	case "ctrl+u":
		m.setFilter("")
	case "up":
		m.move(-1)
	case "down":
		m.move(1)
	default:
		if text := printable(msg.Key().Text); text != "" {
			m.setFilter(m.filter + text)
		}
	}
}

func (m *Model) scroll(n int) {
	if m.detail != nil {
		m.detail.top = max(0, min(m.detail.top+n, len(m.detailText())-m.height+2))
		return
	}
	m.move(n)
}

func (m *Model) open() tea.Cmd {
	if m.detail != nil || m.at >= len(m.lines) {
		return nil
	}
	l := m.lines[m.at]
	if l.row != nil {
		return m.look(l.row)
	}
	m.cursor = l.key()
	m.opened[l.group] = !m.opened[l.group]
	m.settle()
	return nil
}

func (m *Model) back() {
	switch {
	case m.detail != nil:
		m.detail = nil
	case m.at < len(m.lines) && m.fold != foldNone && m.opened[m.lines[m.at].group]:
		group := m.lines[m.at].group
		m.opened[group] = false
		m.cursor = (&line{group: group}).key()
		m.settle()
	case m.filter != "":
		m.setFilter("")
	}
}

func (m *Model) sortBy(c int) {
	m.sort, m.reverse = (c+len(columns))%len(columns), false
	m.settle()
}

func (m *Model) foldBy(f fold) {
	m.fold, m.opened, m.cursor, m.top = f%folds, map[string]bool{}, "", 0
	m.settle()
}
