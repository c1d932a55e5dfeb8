package explain

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strconv"
)

// maxLine is how much of one record is looked at; the kernel's longest has about 1,000 bytes. The rest is skipped.
const maxLine = 4096

// records splits a log into records: lines, or the blocks of journalctl -o export. It holds one record at a time.
type records struct {
	src     *bufio.Reader
	export  bool // the journal's export format, recognised by its first line
	started bool
	kept    []byte // the start of a line longer than the buffer
	field   journalRecord
}

func newRecords(r io.Reader) *records { return &records{src: bufio.NewReaderSize(r, 1<<17)} }

// next returns the next record: a line with its dressing, or an entry that is taken apart already (ok is true).
// The slices are valid until the next call. At the end the error is io.EOF.
func (r *records) next() (line []byte, e Entry, ok bool, err error) {
	if !r.started {
		r.started = true
		head, _ := r.src.Peek(64)
		r.export = isExport(head)
	}
	if r.export {
		e, err = r.nextExport()
		return nil, e, true, err
	}
	if line, err = r.line(); err != nil {
		return nil, e, false, err
	}
	if len(line) > 1 && line[0] == '{' && bytes.Contains(line, []byte(`"MESSAGE"`)) {
		if e, ok = jsonEntry(line); ok {
			return nil, e, true, nil
		}
	}
	return line, e, false, nil
}

// line returns the next line without its end, cut at maxLine. What follows a NUL byte is kept: it is data like any other.
func (r *records) line() ([]byte, error) {
	line, err := r.src.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		r.kept = append(r.kept[:0], line[:maxLine]...)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.src.ReadSlice('\n')
		}
		line = r.kept
	}
	if len(line) == 0 && err != nil {
		return nil, err
	}
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return line[:min(len(line), maxLine)], nil
}

// isExport: the format begins with fields of the journal (systemd.journal-fields(7), "Journal Export Format").
func isExport(head []byte) bool {
	head = bytes.TrimLeft(head, "\n")
	for _, field := range []string{"__CURSOR=", "__REALTIME_TIMESTAMP=", "__MONOTONIC_TIMESTAMP=", "_BOOT_ID=", "_TRANSPORT=", "MESSAGE=", "PRIORITY="} {
		if bytes.HasPrefix(head, []byte(field)) {
			return true
		}
	}
	return false
}

// journalRecord has the fields of one journal entry that matter here.
type journalRecord struct {
	Message    journalText `json:"MESSAGE"`
	Priority   string      `json:"PRIORITY"`
	Facility   string      `json:"SYSLOG_FACILITY"`
	Identifier string      `json:"SYSLOG_IDENTIFIER"`
	Comm       string      `json:"_COMM"`
	Transport  string      `json:"_TRANSPORT"`
	Monotonic  string      `json:"_SOURCE_MONOTONIC_TIMESTAMP"`
	Received   string      `json:"__MONOTONIC_TIMESTAMP"`
	Realtime   string      `json:"__REALTIME_TIMESTAMP"`
}

// journalText is a field that the journal writes as a string, or as numbers if it is not clean UTF-8.
type journalText []byte

// UnmarshalJSON reads both forms.
func (t *journalText) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = journalText(s)
		return nil
	}
	var numbers []uint8
	var wide []uint16
	if err := json.Unmarshal(data, &wide); err != nil {
		return err
	}
	for _, n := range wide {
		numbers = append(numbers, uint8(n))
	}
	*t = numbers
	return nil
}

func jsonEntry(line []byte) (Entry, bool) {
	var j journalRecord
	if json.Unmarshal(line, &j) != nil {
		return Entry{}, false
	}
	return j.entry(), true
}

// entry is the record as the rest sees it. Only _TRANSPORT=kernel with facility 0 is the kernel's own word: programs
// that write to /dev/kmsg have another facility or identifier.
func (j *journalRecord) entry() Entry {
	e := Entry{Text: bytes.TrimRight(j.Message, "\r\n"), Uptime: -1, Level: -1}
	if n, err := strconv.Atoi(j.Priority); err == nil && n >= 0 && n < 8 {
		e.Level = n
	}
	if n, err := strconv.ParseUint(firstOf(j.Monotonic, j.Received), 10, 64); err == nil {
		e.Uptime = float64(n) / 1e6
	}
	if j.Realtime != "" {
		e.Stamp = []byte(realtime(j.Realtime))
	}
	switch {
	case j.Transport == "kernel" && (j.Facility == "" || j.Facility == "0") && (j.Identifier == "" || j.Identifier == "kernel"):
		e.Origin = Kernel
	case j.Transport != "" || j.Identifier != "" && j.Identifier != "kernel":
		e.Origin, e.Program = Program, []byte(firstOf(j.Identifier, j.Comm))
	}
	return e
}

// nextExport reads one block: NAME=value lines, or NAME, a line feed, eight bytes of length and the value; a blank line ends it.
func (r *records) nextExport() (Entry, error) {
	r.field = journalRecord{}
	seen := false
	for {
		line, err := r.line()
		if err != nil && !seen {
			return Entry{}, err
		}
		if err != nil || len(line) == 0 && seen {
			return r.field.entry(), nil
		}
		name, value, ok := bytes.Cut(line, []byte{'='})
		if !ok {
			if value, err = r.binary(); err != nil {
				return r.field.entry(), nil
			}
		}
		seen = seen || len(line) > 0
		r.field.set(string(name), value)
	}
}

// binary reads the length and the value of a binary field, and keeps at most maxLine of it.
func (r *records) binary() ([]byte, error) {
	var length [8]byte
	if _, err := io.ReadFull(r.src, length[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	value := make([]byte, min(n, maxLine))
	if _, err := io.ReadFull(r.src, value); err != nil {
		return nil, err
	}
	for left := n - uint64(len(value)); left > 0; {
		skipped, err := r.src.Discard(int(min(left, 1<<20)))
		if left -= uint64(skipped); err != nil {
			return nil, err
		}
	}
	_, err := r.src.ReadByte()
	return value, err
}

func (j *journalRecord) set(name string, value []byte) {
	switch name {
	case "MESSAGE":
		j.Message = bytes.Clone(value)
	case "PRIORITY":
		j.Priority = string(value)
	case "SYSLOG_FACILITY":
		j.Facility = string(value)
	case "SYSLOG_IDENTIFIER":
		j.Identifier = string(value)
	case "_COMM":
		j.Comm = string(value)
	case "_TRANSPORT":
		j.Transport = string(value)
	case "_SOURCE_MONOTONIC_TIMESTAMP":
		j.Monotonic = string(value)
	case "__MONOTONIC_TIMESTAMP":
		j.Received = string(value)
	case "__REALTIME_TIMESTAMP":
		j.Realtime = string(value)
	}
}
