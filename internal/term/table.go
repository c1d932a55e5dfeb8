package term

import (
	"bytes"
	"unicode/utf8"
)

// A Table lines up columns. Cells are made Safe. When the rows are wider than the output, the column
// with the largest share is cut first, down to its Min.
type Table struct {
	Columns []Column
	rows    [][]string
	styles  []string
}

// A Column has a heading and how it may shrink.
type Column struct {
	Head  string
	Right bool // numbers
	Min   int  // never cut below; 0: the heading's length
	Fixed bool // never cut
}

// Row adds a row; missing cells are empty.
func (t *Table) Row(cells ...string) { t.StyledRow("", cells...) }

// StyledRow adds a row in a style.
func (t *Table) StyledRow(style string, cells ...string) {
	row := make([]string, len(t.Columns))
	for i := range row {
		if i < len(cells) {
			row[i] = Safe(cells[i])
		}
	}
	t.rows = append(t.rows, row)
	t.styles = append(t.styles, style)
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// Write writes heading and rows, at most o.Width wide on a terminal; in a pipe nothing is cut.
func (t *Table) Write(o Output) error {
	width := t.widths(o)
	heads := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		heads[i] = c.Head
	}
	var text, line []byte
	for i := -1; i < len(t.rows); i++ {
		row, style := heads, Bold
		if i >= 0 {
			row, style = t.rows[i], t.styles[i]
		}
		line = t.line(line[:0], row, width)
		if style != "" && o.Colour {
			line = append(line[:0], o.Style(style, string(line))...)
		}
		text = append(append(text, line...), '\n')
	}
	_, err := o.Write(text)
	return err
}

// line appends a row to b, without blanks at its end.
func (t *Table) line(b []byte, cells []string, width []int) []byte {
	start := len(b)
	for i, cell := range cells {
		if width[i] == 0 {
			continue
		}
		if len(b) > start {
			b = append(b, "  "...)
		}
		cell = clip(cell, width[i])
		pad := width[i] - utf8.RuneCountInString(cell)
		if t.Columns[i].Right {
			b = append(blanks(b, pad), cell...)
		} else {
			b = blanks(append(b, cell...), pad)
		}
	}
	return append(b[:start], bytes.TrimRight(b[start:], " ")...)
}

func blanks(b []byte, n int) []byte {
	for range n {
		b = append(b, ' ')
	}
	return b
}

// widths returns the width of each column; 0 for one that is empty in every row.
func (t *Table) widths(o Output) []int {
	width := make([]int, len(t.Columns))
	total := 0
	for i, c := range t.Columns {
		for _, row := range t.rows {
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
		if width[i] > 0 {
			width[i] = max(width[i], utf8.RuneCountInString(c.Head))
			total += width[i] + 2
		}
	}
	for o.Terminal && total-2 > o.Width {
		widest := -1
		for i, c := range t.Columns {
			if least := max(c.Min, 4); !c.Fixed && width[i] > least && (widest < 0 || width[i] > width[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		width[widest]--
		total--
	}
	return width
}

// clip cuts a cell that is Safe already.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:n-1]) + "…"
}
