package interrupts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxCPUs is how many columns a header may have, MaxLine how many bytes a line. Linux allows 8,192 CPUs on
// x86 (NR_CPUS); what is beyond these is no file of a kernel.
const (
	MaxCPUs = 1 << 16
	MaxLine = 1 << 20
)

// ErrNoHeader: there is no line of CPU names. It is not a copy of /proc/interrupts or /proc/softirqs.
var ErrNoHeader = errors.New("no line with CPU names (CPU0 CPU1 …)")

const (
	chunk    = 64 << 10 // bytes a read asks for
	maxLabel = 32       // the longest label is powerpc's "HVI" or an irq number; it has no blank
)

// A RawRow is one line. Its slices are valid until the next call of Scanner.Next. See Row for the fields.
type RawRow struct {
	Label, Text        []byte
	Number             int
	Counts             []uint32
	Total              uint64
	Single, Misaligned bool
	Line               int
}

// A Scanner reads rows. Use NewScanner or NewBytesScanner, then Next until it is false, then Err.
type Scanner struct {
	r      io.Reader
	buf    []byte // the bytes read; pos is what is not parsed yet
	pos    int
	eof    bool
	cut    bool // the present line has no newline
	line   int
	cpus   []int
	counts []uint32 // where the next row's counts go
	row    RawRow
	err    error
	// problem is called for each line that is not what it should be.
	problem func(Problem)
}

// NewScanner reads the header from r. The error is ErrNoHeader or that of r.
func NewScanner(r io.Reader) (*Scanner, error) {
	return newScanner(&Scanner{r: r, buf: make([]byte, 0, chunk)})
}

// NewBytesScanner is NewScanner on bytes in memory, which it does not change.
func NewBytesScanner(b []byte) (*Scanner, error) { return newScanner(&Scanner{buf: b, eof: true}) }

func newScanner(s *Scanner) (*Scanner, error) {
	for line, ok := s.next(); ok; line, ok = s.next() {
		if s.cpus, ok = parseHeader(line); ok {
			s.counts = make([]uint32, len(s.cpus))
			return s, nil
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	return nil, ErrNoHeader
}

// CPUs returns the CPU number of each column.
func (s *Scanner) CPUs() []int { return s.cpus }

// Row returns the row that Next found.
func (s *Scanner) Row() *RawRow { return &s.row }

// Err returns the error of the reader, nil at the end of the file.
func (s *Scanner) Err() error { return s.err }

// Next finds the next row. Lines that are none are skipped; a second header ends the table.
func (s *Scanner) Next() bool {
	for {
		line, ok := s.next()
		if !ok {
			return false
		}
		if s.parse(line) {
			return true
		}
		if _, again := parseHeader(line); again {
			s.report("a second header: the file has several tables, the first is used")
			s.pos, s.buf, s.eof = 0, s.buf[:0], true
			return false
		}
		if len(bytes.TrimSpace(line)) > 0 {
			s.report("no label with counts")
		}
	}
}

func (s *Scanner) report(reason string) {
	if s.problem != nil {
		s.problem(Problem{Line: s.line, Reason: reason})
	}
}

// next returns the next line without its newline.
func (s *Scanner) next() ([]byte, bool) {
	for {
		if n := bytes.IndexByte(s.buf[s.pos:], '\n'); n >= 0 {
			line := s.buf[s.pos : s.pos+n]
			s.pos += n + 1
			s.line++
			return line, true
		}
		if s.eof {
			return s.last()
		}
		s.fill()
	}
}

func (s *Scanner) last() ([]byte, bool) {
	line := s.buf[s.pos:]
	if len(line) == 0 || s.err != nil {
		return nil, false
	}
	s.pos, s.cut = len(s.buf), true
	s.line++
	return line, true
}

// fill moves what is left to the front and reads on. /proc gives some rows a call, whatever the buffer.
func (s *Scanner) fill() {
	left := copy(s.buf[:cap(s.buf)], s.buf[s.pos:])
	s.pos = 0
	if left > MaxLine {
		s.eof, s.err = true, fmt.Errorf("line %d is longer than %d bytes", s.line+1, MaxLine)
		return
	}
	if left == cap(s.buf) {
		s.buf = append(s.buf[:left], make([]byte, left)...)
	}
	n, err := io.ReadAtLeast(s.r, s.buf[left:cap(s.buf)], 1)
	s.buf = s.buf[:left+n]
	if err != nil {
		s.eof = true
		if err != io.EOF {
			s.err = err
		}
	}
}

// parse fills s.row from a line, false if there is no label.
func (s *Scanner) parse(line []byte) bool {
	line = bytes.TrimSuffix(line, []byte{'\r'})
	start := 0
	for start < len(line) && line[start] == ' ' {
		start++
	}
	colon := bytes.IndexByte(line[start:min(len(line), start+maxLabel)], ':')
	if colon <= 0 || bytes.IndexByte(line[start:start+colon], ' ') >= 0 {
		return false
	}
	label := line[start : start+colon]
	n, p, total, fits := parseCounts(line, start+colon+1, s.counts)
	row := &s.row
	*row = RawRow{Label: label, Number: labelNumber(label), Counts: s.counts[:n], Total: total, Line: s.line}
	if n == 0 && row.Number < 0 {
		return false
	}
	row.Text = bytes.TrimSpace(line[p:])
	s.align(row, fits)
	return true
}

// align decides whose the counts are.
func (s *Scanner) align(row *RawRow, fits bool) {
	n, want := len(row.Counts), len(s.cpus)
	switch {
	case s.cut && len(row.Text) == 0:
		s.misaligned(row, "the file ends within the counts")
	case n == 1 && want > 1 && row.Number < 0 && len(row.Text) == 0:
		row.Single, row.Counts = true, nil
	case n < want:
		s.misaligned(row, fmt.Sprintf("%d counts for %d CPUs", n, want))
	case startsWithCount(row.Text):
		s.misaligned(row, fmt.Sprintf("more than %d counts for %d CPUs", n, want))
	case !fits:
		s.misaligned(row, "a count does not fit in 32 bits")
	}
}

func (s *Scanner) misaligned(row *RawRow, reason string) {
	row.Misaligned, row.Counts = true, nil
	s.report(reason)
}

// startsWithCount reports whether text begins with a lone number before two blanks or more: a count too many.
// A chip's name is never a number.
func startsWithCount(text []byte) bool {
	i := 0
	for i < len(text) && text[i]-'0' <= 9 {
		i++
	}
	return i > 0 && (i == len(text) || text[i] == ' ')
}

// labelNumber returns the irq number of a label, -1 if it is none.
func labelNumber(label []byte) int {
	n := 0
	for _, c := range label {
		if c-'0' > 9 || n > 1<<30/10 {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}
