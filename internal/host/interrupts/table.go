package interrupts

import (
	"io"
	"strings"
)

// A Table is a whole file. Its strings and counts are valid as long as the Table.
type Table struct {
	CPUs     []int // the CPU number of each column
	Rows     []Row
	Problems []Problem // the first hundred
}

// A Row is one line.
type Row struct {
	Label  string   // "36", "LOC", "IPI0"
	Number int      // the irq, -1 for other rows
	Counts []uint32 // one a column; nil if Misaligned, Single or not asked for. They wrap at 2³², each CPU's by itself
	Total  uint64   // the sum of the counts as far as the row goes
	Text   string   // what follows the counts, trimmed; bytes as they are in the file
	// Single: one count for the whole machine (ERR and MIS of x86 up to 6.x, Err of arm64).
	Single bool
	// Misaligned: there are more or fewer counts than CPUs, so that nobody can say whose they are. A CPU came
	// or went during the read, or the file is cut.
	Misaligned bool
	Line       int // in the file, from 1
}

// A Problem is a line that is not what it should be.
type Problem struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

const maxProblems = 100

// Read parses a whole file. The error is ErrNoHeader or that of r; the Table then has what was read before.
func Read(r io.Reader) (*Table, error) {
	s, err := NewScanner(r)
	if err != nil {
		return nil, err
	}
	return s.table(true)
}

// ReadTotals is Read without the counts of each CPU: Row.Counts is nil, Row.Total is there.
func ReadTotals(r io.Reader) (*Table, error) {
	s, err := NewScanner(r)
	if err != nil {
		return nil, err
	}
	return s.table(false)
}

// Parse is Read on bytes in memory, which it does not keep.
func Parse(b []byte) (*Table, error) {
	s, err := NewBytesScanner(b)
	if err != nil {
		return nil, err
	}
	return s.table(true)
}

// table collects the rows. Counts come from blocks of many rows and strings from one text, so that the
// number of allocations does not grow with the rows.
func (s *Scanner) table(counts bool) (*Table, error) {
	t := &Table{CPUs: s.cpus, Rows: make([]Row, 0, 64)}
	s.problem = func(p Problem) {
		if len(t.Problems) < maxProblems {
			t.Problems = append(t.Problems, p)
		}
	}
	c := collector{columns: len(s.cpus)}
	for {
		if counts {
			s.counts = c.room()
		}
		if !s.Next() {
			break
		}
		if !counts {
			s.row.Counts = nil
		}
		t.Rows = append(t.Rows, c.keep(&s.row))
	}
	c.name(t.Rows)
	return t, s.err
}

type collector struct {
	columns int
	block   []uint32
	text    strings.Builder
	ends    []span
}

type span struct{ label, text int } // where each ends in the text

const blockCounts = 64 << 10

func (c *collector) room() []uint32 {
	if len(c.block) < c.columns {
		c.block = make([]uint32, max(c.columns, min(blockCounts, 32*c.columns)))
	}
	return c.block[:c.columns:c.columns]
}

func (c *collector) keep(raw *RawRow) Row {
	if raw.Counts != nil {
		c.block = c.block[c.columns:]
	}
	c.text.Write(raw.Label)
	label := c.text.Len()
	c.text.Write(raw.Text)
	c.ends = append(c.ends, span{label, c.text.Len()})
	return Row{Number: raw.Number, Counts: raw.Counts, Total: raw.Total,
		Single: raw.Single, Misaligned: raw.Misaligned, Line: raw.Line}
}

func (c *collector) name(rows []Row) {
	all, start := c.text.String(), 0
	for i, end := range c.ends {
		rows[i].Label, rows[i].Text = all[start:end.label], all[end.label:end.text]
		start = end.text
	}
}
