package explain

import (
	"bytes"
	"strconv"
)

// An Origin says who wrote a log line.
type Origin uint8

// The origins. A user may write anything into the system log; only the kernel's own word is a finding.
const (
	Unsaid     Origin = iota // the line does not tell: bare text, dmesg
	Kernel                   // the log says so
	Program                  // a program wrote it
	Hypervisor               // Xen's console
)

var originNames = [...]string{"", "kernel", "program", "hypervisor"}

// String returns "", "kernel", "program" or "hypervisor".
func (o Origin) String() string { return originNames[o&3] }

// MarshalText returns String.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// An Entry is one record of a log without its dressing: levels, times, hosts and callers are taken off.
// Its slices are valid until the next record is read.
type Entry struct {
	Text    []byte  // the message
	Stamp   []byte  // time as it was written, nil if there was none
	Uptime  float64 // seconds since boot, -1 if not told
	Level   int     // 0 (emergency) to 7 (debug), -1 if not told
	Origin  Origin
	Program []byte // who wrote it, if Origin is Program
}

// parseEntry takes the dressing off a line: dmesg (also -T, -x, -r, with callers), /dev/kmsg, syslog in any
// language, journalctl -o short and its relatives, terminal colours.
func parseEntry(line []byte) Entry {
	e := Entry{Uptime: -1, Level: -1}
	line = bytes.TrimRight(stripColour(line), "\r\n \x00")
	if rest, ok := e.kmsg(line); ok {
		e.Text = trimStamps(&e, rest)
		return e
	}
	line = e.level(bytes.TrimLeft(line, " \t"))
	line = e.decoded(line)
	line = trimStamps(&e, line)
	if bytes.HasPrefix(line, []byte("(XEN)")) {
		e.Origin = Hypervisor
	} else {
		line = trimStamps(&e, e.syslog(line))
	}
	e.Text = line
	return e
}

// kmsg reads "6,339,5140900,-,caller=T1;text" (Documentation/ABI/testing/dev-kmsg). A facility other than 0 is a program's.
func (e *Entry) kmsg(line []byte) ([]byte, bool) {
	if len(line) == 0 || line[0] < '0' || line[0] > '9' {
		return nil, false
	}
	head, _, ok := bytes.Cut(line[:min(len(line), 256)], []byte{';'})
	if !ok {
		return nil, false
	}
	text := line[len(head)+1:]
	var fields [3]uint64
	for i := range fields {
		field, rest, ok := bytes.Cut(head, []byte{','})
		n, err := strconv.ParseUint(string(field), 10, 64)
		if !ok || err != nil {
			return nil, false
		}
		fields[i], head = n, rest
	}
	e.priority(fields[0])
	e.Uptime = float64(fields[2]) / 1e6
	if e.Origin == Unsaid {
		e.Origin = Kernel
	}
	return unescape(text), true
}

// priority is facility times 8 plus level.
func (e *Entry) priority(p uint64) {
	e.Level = int(p & 7)
	if p>>3 != 0 {
		e.Origin = Program
	}
}

// level reads "<4>" (dmesg -r, serial consoles).
func (e *Entry) level(line []byte) []byte {
	end := bytes.IndexByte(line[:min(len(line), 6)], '>')
	if end < 2 || line[0] != '<' {
		return line
	}
	p, err := strconv.ParseUint(string(line[1:end]), 10, 16)
	if err != nil {
		return line
	}
	e.priority(p)
	return line[end+1:]
}

var facilities = map[string]bool{"kern": true, "user": true, "daemon": true, "mail": true, "auth": true, "syslog": true, "lpr": true, "news": true, "uucp": true, "cron": true, "authpriv": true, "ftp": true}

// decoded reads "kern  :warn  : " (dmesg -x).
func (e *Entry) decoded(line []byte) []byte {
	facility, rest, ok := bytes.Cut(line[:min(len(line), 24)], []byte{':'})
	if !ok || !facilities[string(bytes.TrimSpace(facility))] {
		return line
	}
	level, _, ok := bytes.Cut(rest, []byte{':'})
	if !ok {
		return line
	}
	if string(bytes.TrimSpace(facility)) != "kern" {
		e.Origin = Program
	}
	return bytes.TrimLeft(line[len(facility)+len(level)+2:], " ")
}

// trimStamps takes "[  179.602028]", "[Mon Nov 23 07:45:00 2026]", "[   T34]" and "[  +0.000012]" off, as many as there are.
func trimStamps(e *Entry, line []byte) []byte {
	for {
		line = bytes.TrimLeft(line, " \t")
		end := bytes.IndexByte(line[:min(len(line), 40)], ']')
		if end < 2 || line[0] != '[' {
			return line
		}
		inner := bytes.TrimSpace(line[1:end])
		switch {
		case isUptime(inner):
			if s, err := strconv.ParseFloat(string(inner), 64); err == nil && inner[0] != '+' {
				e.Uptime = s
			}
			e.stamp(inner)
		case isClock(inner):
			e.stamp(inner)
		case !isCaller(inner):
			return line
		}
		line = line[end+1:]
	}
}

func (e *Entry) stamp(s []byte) {
	if e.Stamp == nil {
		e.Stamp = s
	}
}

// isUptime: digits, a point, digits, perhaps a sign before.
func isUptime(s []byte) bool {
	digits, points := 0, 0
	for i, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			points++
		case i > 0 || c != '+' && c != '-':
			return false
		}
	}
	return digits > 1 && points == 1
}

// isClock: something with hh:mm in it and no sign of a kernel symbol.
func isClock(s []byte) bool {
	at := bytes.IndexByte(s, ':')
	return at >= 2 && at+2 < len(s) && isDigits(s[at-2:at]) && isDigits(s[at+1:at+3]) && bytes.IndexByte(s, '.') < 0
}

// isCaller: T34, C0 (CONFIG_PRINTK_CALLER).
func isCaller(s []byte) bool {
	return len(s) > 1 && (s[0] == 'T' || s[0] == 'C') && isDigits(s[1:])
}

func isDigits(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) > 0
}
