package vectormap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ivtd/ivt/internal/term"
)

// slots lists who has the vectors of the CPUs that the style names.
func (m *Map) slots(o term.Output, s Style) {
	t := term.Table{Columns: []term.Column{{Head: "CPU", Right: true, Fixed: true}, {Head: "VECTOR", Fixed: true}, {Head: "IRQ", Right: true, Fixed: true},
		{Head: "STATE", Min: 6}, {Head: "HANDLER"}, {Head: "CHIPS"}}}
	again := map[int][]int{} // CPU → vectors that are free again
	for _, c := range m.CPUs {
		if s.CPUs == nil && len(m.CPUs) > slotsByDefault || s.CPUs != nil && !slices.Contains(s.CPUs, c.Number) {
			continue
		}
		for _, slot := range c.Slots {
			if slot.State == StateShutdown || slot.State == StateRetriggered {
				again[c.Number] = append(again[c.Number], slot.Vector)
				continue
			}
			m.slotRow(&t, c.Number, slot)
		}
		m.unplaced(&t, c.Number)
	}
	if t.Len() > 0 {
		fmt.Fprintln(o)
		t.Write(o)
	}
	for _, c := range m.CPUs {
		if v := again[c.Number]; v != nil {
			fmt.Fprint(o, wrap(fmt.Sprintf("CPU %d: free, used before: %s", c.Number, hexList(v)), o.Width, "  "))
		}
	}
}

func (m *Map) slotRow(t *term.Table, cpu int, slot Slot) {
	cells := []string{strconv.Itoa(cpu), fmt.Sprintf("%#x", slot.Vector), "", m.stateText(slot)}
	if q := m.IRQ(slot.IRQ); q != nil {
		cells[2] = strconv.Itoa(q.Number)
		cells = append(cells, q.Actions, strings.Join(q.Chips, " > "))
	}
	t.Row(cells...)
}

// unplaced lists the irqs of a map without vectors.
func (m *Map) unplaced(t *term.Table, cpu int) {
	for _, q := range m.IRQs {
		if !m.Exact() && q.CPU == cpu {
			t.Row(strconv.Itoa(cpu), "", strconv.Itoa(q.Number), "", q.Actions, strings.Join(q.Chips, " > "))
		}
	}
}

// stateText says what a slot is in a word or two.
func (m *Map) stateText(slot Slot) string {
	q := m.IRQ(slot.IRQ)
	switch {
	case slot.State == StateLive && q != nil && q.Moving:
		return "live, just moved"
	case slot.State == StateLive && slot.Managed:
		return "live, managed"
	case slot.State == StateCleanup:
		return "left, until the next"
	case slot.State == StateManaged:
		return "set aside"
	case slot.State == StateLegacy:
		return "old PIC"
	}
	return string(slot.State)
}

// wrap breaks text at spaces to fit the width; further lines begin with indent.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		if i > 0 && column+1+n > max(width, 20) {
			b.WriteString("\n" + indent)
			column = len(indent)
		} else if i > 0 {
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String() + "\n"
}
