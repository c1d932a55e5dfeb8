package interrupts

import "io"

// A Table is a whole file. Its strings and counts are valid as long as the Table.
type Table struct {
	CPUs     []int // the CPU number of each column
	Rows     []Row
	Problems []Problem
}

// A Row is one line.
type Row struct {
	Label  string   // "36", "LOC", "IPI0"
	Number int      // the irq, -1 for other rows
	Counts []uint32 // one a column; nil if Misaligned; one count if Single
	Total  uint64
	Text   string // what follows the counts, trimmed
	// Single: one count for the whole machine (ERR, MIS of older kernels).
	Single bool
	// Misaligned: there are more or fewer counts than CPUs, so that nobody can say whose they are.
	Misaligned bool
	Line       int // in the file, from 1
}

// A Problem is a line that is not what it should be.
type Problem struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// Read parses a whole file.
func Read(r io.Reader) (*Table, error) { return nil, nil }
