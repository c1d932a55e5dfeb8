package explain

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// A Scanner reads a log and gives its incidents, in order. It holds one incident and one record, however long the log is.
//
//	s := explain.NewScanner(r)
//	for s.Scan() {
//		use(s.Incident())
//	}
//	err := s.Err()
type Scanner struct {
	// Loose makes lines that mean something only after others incidents of their own: for single lines that
	// somebody typed. Default false.
	Loose bool

	records  *records
	filter   *prefilter
	open     *Incident // may be continued by lines to come
	left     int       // how many lines it may still take
	current  *Incident
	queue    []*Incident
	err      error
	possible []uint16

	// Lines is how many records were read, Foreign how many of them looked like the kernel's and were a program's.
	Lines, Foreign int64
}

// patience is how many lines may stand between the lines of one incident: a stack dump.
const patience = 120

// NewScanner returns a Scanner of any of the formats that the package knows, recognised line by line.
func NewScanner(r io.Reader) *Scanner {
	return &Scanner{records: newRecords(r), filter: messageFilter()}
}

// Scan goes to the next incident; false at the end of the log or on an error of the reader.
func (s *Scanner) Scan() bool {
	for len(s.queue) == 0 {
		if s.err != nil {
			return false
		}
		s.read()
	}
	s.current, s.queue = s.queue[0], s.queue[1:]
	return true
}

// Incident returns the one that Scan went to. It may be kept.
func (s *Scanner) Incident() *Incident { return s.current }

// Err returns what ended the log, nil for its end.
func (s *Scanner) Err() error {
	if errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}

func (s *Scanner) read() {
	line, e, ready, err := s.records.next()
	if err != nil {
		s.close()
		s.err = err
		return
	}
	s.Lines++
	text := line
	if ready {
		text = e.Text
	}
	if !ready && hasEscape(line) {
		e, ready = parseEntry(line), true
		text = e.Text
	}
	s.possible = s.filter.candidates(text, s.possible[:0])
	if len(s.possible) == 0 && s.open == nil {
		return
	}
	if !ready {
		e = parseEntry(line)
	}
	s.entry(e)
}

// entry looks which message it is, and whether it begins an incident or continues the open one.
func (s *Scanner) entry(e Entry) {
	for _, i := range s.possible {
		m := Messages()[i]
		fields, ok := m.match(e.Text)
		if !ok {
			continue
		}
		if e.Origin == Program {
			s.Foreign++
		}
		if s.continues(m, fields, e) {
			s.open.add(m, fields, e.Text)
			return
		}
		if !m.OnlyAfter || s.Loose {
			s.begin(newIncident(m, fields, e))
			return
		}
	}
	s.context(e)
}

// continues reports whether the message belongs to the open incident: it may follow it, is by the same author, and names no other irq.
func (s *Scanner) continues(m *Message, fields []Field, e Entry) bool {
	if s.open == nil || e.Origin != s.open.Origin || !slices.Contains(m.Continues, s.open.Message.ID) {
		return false
	}
	was, is := s.open.Field("irq"), fieldOf(fields, "irq")
	return was == "" || is == "" || was == is || s.open.Message.ID == "hardirq-storm"
}

func (s *Scanner) begin(in *Incident) {
	s.close()
	if !isContinued(in.Message.ID) {
		in.finish()
		s.queue = append(s.queue, in)
		return
	}
	s.open, s.left = in, patience
}

func (s *Scanner) close() {
	if s.open != nil {
		s.open.finish()
		s.queue = append(s.queue, s.open)
		s.open = nil
	}
}

// who is the line of a stack dump that says who ran, and on which kernel.
var who = pattern(`CPU: \d+ (?:UID: \d+ )?PID: (\d+) Comm: (\S+) (?:Kdump: loaded )?(?:Tainted: .{0,40}?|Not tainted) (\d+\.\d\S*)`)

// context counts a line between those of an incident, and picks up who ran.
func (s *Scanner) context(e Entry) {
	if s.open == nil {
		return
	}
	if at := who().FindSubmatch(e.Text); at != nil && s.open.Task == "" && e.Origin == s.open.Origin {
		s.open.Task = string(at[2]) + " (pid " + string(at[1]) + ")"
		s.open.Kernel = string(at[3])
	}
	if s.left--; s.left <= 0 {
		s.close()
	}
}

func isContinued(id string) bool {
	return slices.ContainsFunc(Messages(), func(m *Message) bool { return slices.Contains(m.Continues, id) })
}

func hasEscape(line []byte) bool { return bytes.IndexByte(line, 0x1b) >= 0 }
