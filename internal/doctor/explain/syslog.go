package explain

import (
	"bytes"
)

// maxDressing and maxWords bound what may stand before the tag of a syslog line.
const (
	maxDressing = 160
	maxWords    = 8
)

// syslog takes time, host and tag off: "lis 02 20:23:06 host kernel: text". The month may be in any language, the
// time in any of the usual forms; what is recognised is the tag "kernel:", or, for a line that begins with a time,
// the word with a colon that follows the host.
func (e *Entry) syslog(line []byte) []byte {
	head := line[:min(len(line), maxDressing)]
	if at := kernelTag(head); at >= 0 {
		e.stampOf(head[:at])
		if e.Origin == Unsaid {
			e.Origin = Kernel
		}
		return line[at+len("kernel:"):]
	}
	if tag, end := programTag(head); end > 0 {
		e.stampOf(head[:end])
		e.Origin, e.Program = Program, tag
		return bytes.TrimLeft(line[end:], " ")
	}
	return line
}

// kernelTag returns where "kernel:" begins as a word, at most maxWords words into the line; -1 if it does not.
func kernelTag(head []byte) int {
	for from := 0; ; {
		i := bytes.Index(head[from:], []byte("kernel:"))
		if i < 0 {
			return -1
		}
		at := from + i
		if (at == 0 || head[at-1] == ' ' || head[at-1] == '\t') && len(bytes.Fields(head[:at])) <= maxWords {
			return at
		}
		from = at + 1
	}
}

// programTag finds "TIME HOST name[pid]:" and returns name and the end of the colon.
func programTag(head []byte) (name []byte, end int) {
	words, offset := 0, 0
	for offset < len(head) && words < 5 {
		word := head[offset:]
		if i := bytes.IndexByte(word, ' '); i >= 0 {
			word = word[:i]
		}
		words++
		offset += len(word)
		for offset < len(head) && head[offset] == ' ' {
			offset++
		}
		if isTime(word) {
			return afterHost(head, offset)
		}
	}
	return nil, 0
}

// afterHost expects the host at offset and a tag after it. A zone or a year may come before the host.
func afterHost(head []byte, offset int) (name []byte, end int) {
	for range 4 {
		space := bytes.IndexByte(head[offset:], ' ')
		word := head[offset:]
		if space >= 0 {
			word = word[:space]
		}
		if tag, ok := bytes.CutSuffix(word, []byte{':'}); ok && len(tag) > 0 {
			if open := bytes.IndexByte(tag, '['); open > 0 {
				tag = tag[:open]
			}
			return tag, offset + len(word)
		}
		if space < 0 {
			return nil, 0
		}
		offset += space + 1
	}
	return nil, 0
}

// isTime: 20:23:06 with or without fraction and zone, or 2026-11-23T20:23:06.
func isTime(w []byte) bool {
	if t := bytes.IndexByte(w, 'T'); t == len("2026-11-23") {
		w = w[t+1:]
	}
	return len(w) >= 8 && isDigits(w[:2]) && w[2] == ':' && isDigits(w[3:5]) && w[5] == ':' && isDigits(w[6:8])
}

// stampOf keeps the words of a time that stand before host and tag, as they were written.
func (e *Entry) stampOf(dressing []byte) {
	if e.Stamp != nil {
		return
	}
	words, offset := bytes.Fields(dressing), 0
	for i, w := range words {
		offset = bytes.Index(dressing[offset:], w) + offset + len(w)
		if isTime(w) && i < 5 {
			e.Stamp = bytes.TrimSpace(dressing[:offset])
			return
		}
	}
}

// stripColour removes the SGR sequences that dmesg --color and journalctl write. Without any the line is returned as it is.
func stripColour(line []byte) []byte {
	if bytes.IndexByte(line, 0x1b) < 0 {
		return line
	}
	plain := make([]byte, 0, len(line))
	for len(line) > 0 {
		if n := sgr(line); n > 0 {
			line = line[n:]
			continue
		}
		plain = append(plain, line[0])
		line = line[1:]
	}
	return plain
}

// sgr returns the length of the colour sequence that s begins with, 0 if there is none.
func sgr(s []byte) int {
	if len(s) < 3 || s[0] != 0x1b || s[1] != '[' {
		return 0
	}
	for i, c := range s[2:] {
		switch {
		case c == 'm':
			return i + 3
		case c != ';' && (c < '0' || c > '9'):
			return 0
		}
	}
	return 0
}

// unescape undoes the \x09 of /dev/kmsg.
func unescape(text []byte) []byte {
	if !bytes.Contains(text, []byte(`\x`)) {
		return text
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if c, ok := hexEscape(text[i:]); ok {
			plain = append(plain, c)
			i += 3
			continue
		}
		plain = append(plain, text[i])
	}
	return plain
}

func hexEscape(s []byte) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' || s[1] != 'x' {
		return 0, false
	}
	high, low := fromHex(s[2]), fromHex(s[3])
	return high<<4 | low, high < 16 && low < 16
}

func fromHex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}
