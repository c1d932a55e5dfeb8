package explain

import (
	"fmt"
	"strconv"
	"strings"
)

// A Match is one code that a query may mean, and how.
type Match struct {
	Code *Code  `json:"code"`
	As   string `json:"as"`             // "Windows error 763", "HRESULT 0x800702FB", "errno 16", "NTSTATUS 0x00000127 …", "its name"
	Note string `json:"note,omitempty"` // what must be said of that form: success severity
}

// Lookup finds the codes that a query may mean, the likeliest first: a number (decimal, 0x2FB, 2FBh), an HRESULT
// (also signed decimal), an NTSTATUS, a negative errno, a name (ERROR_…, ErrAlreadyConnected, STATUS_…, EBUSY),
// the system's text of the error, or a message that contains one of those. nil if nothing fits.
func Lookup(query string) []Match {
	query = strings.Trim(strings.TrimSpace(query), `"'.,;:()[]`)
	if query == "" || len(query) > maxQuery {
		return nil
	}
	if m := byNumber(query); m != nil {
		return m
	}
	if m := byName(query); m != nil {
		return m
	}
	return byContent(query)
}

// maxQuery bounds what is searched for a code; log lines are longer, but nobody's code is.
const maxQuery = 1 << 12

func byNumber(s string) []Match {
	value, negative, hex, ok := parseNumber(s)
	if !ok {
		return nil
	}
	var found []Match
	add := func(c *Code, as, note string) { found = append(found, Match{c, as, note}) }
	for _, c := range Codes() {
		switch {
		case negative:
			if c.Kind == "errno" && value == uint64(c.Number) {
				add(c, fmt.Sprintf("errno -%d, as the kernel returns it", value), "")
			}
		case c.Kind == "win32" && value == uint64(c.Number):
			add(c, fmt.Sprintf("Windows error %d", value), "")
		case c.Kind == "win32" && value == uint64(c.HRESULT()):
			add(c, fmt.Sprintf("HRESULT 0x%08X", value), "")
		case c.Kind == "ntstatus" && (value == uint64(c.Number) || value == uint64(c.Number|hresultNT)):
			add(c, fmt.Sprintf("NTSTATUS 0x%08X", c.Number), "")
		case c.Kind == "errno" && !hex && value == uint64(c.Number):
			add(c, fmt.Sprintf("errno %d of Linux", value), "")
		}
		for _, t := range c.Twins {
			if !negative && (value == uint64(t.Value) || value == uint64(t.Value|hresultNT)) {
				add(c, fmt.Sprintf("NTSTATUS 0x%08X %s", t.Value, t.Name), severityNote(t))
			}
		}
	}
	return found
}

// hresultNT is FACILITY_NT_BIT of winerror.h, which HRESULT_FROM_NT sets.
const hresultNT = 0x10000000

func severityNote(t Twin) string {
	if t.Severity() == "error" {
		return t.Note
	}
	if t.Note == "" {
		return t.Severity() + " severity"
	}
	return t.Note
}

// parseNumber reads 763, 0x2FB, 2FBh, 0X2fb, -16, and -2147024133 (an HRESULT as a signed number, returned unsigned).
func parseNumber(s string) (value uint64, negative, hex, ok bool) {
	digits, base := s, 10
	if rest, found := cutFold(s, "0x"); found {
		digits, base = rest, 16
	} else if l := len(s); l > 1 && (s[l-1] == 'h' || s[l-1] == 'H') && s[0] >= '0' && s[0] <= '9' {
		digits, base = s[:l-1], 16
	}
	if base == 16 {
		value, err := strconv.ParseUint(digits, 16, 64)
		return value, false, true, err == nil
	}
	signed, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil:
		return 0, false, false, false
	case signed >= -0x80000000 && signed < -0x10000:
		return uint64(uint32(int32(signed))), false, true, true
	case signed < 0:
		return uint64(-signed), true, false, true
	}
	return uint64(signed), false, false, true
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// byName finds a code by one of its names, in any case, with or without ERROR_, STATUS_ or a package before it.
func byName(s string) []Match {
	s = s[strings.LastIndexByte(s, '.')+1:]
	for _, c := range Codes() {
		for _, name := range c.names() {
			if strings.EqualFold(s, name) || strings.EqualFold(s, shortName(name)) {
				return []Match{{Code: c, As: "its name " + name, Note: c.twinNote(name)}}
			}
		}
		if strings.EqualFold(strings.TrimSuffix(s, "."), strings.TrimSuffix(c.Text, ".")) {
			return []Match{{Code: c, As: "its text"}}
		}
	}
	return nil
}

func (c *Code) names() []string {
	names := append([]string{c.Name}, c.Aliases...)
	if c.Go != "" {
		names = append(names, c.Go)
	}
	for _, t := range c.Twins {
		names = append(names, t.Name)
	}
	return names
}

func (c *Code) twinNote(name string) string {
	for _, t := range c.Twins {
		if t.Name == name {
			return severityNote(t)
		}
	}
	return ""
}

// shortName is what people leave when they drop the prefix; errnos have none.
func shortName(name string) string {
	for _, prefix := range []string{"ERROR_", "STATUS_", "Err"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest
		}
	}
	return name
}

var codeWord = pattern(`\b(?:ERROR_[A-Z_]+|STATUS_[A-Z0-9_]+|Err[A-Z][A-Za-z]+|E[A-Z]{3,}|0[xX][0-9a-fA-F]{2,8})\b|-?[0-9]{1,10}\b`)

// byContent finds the codes in a message that somebody pasted: names first, then the systems' texts, then numbers
// that a word like "error" or "code" announces.
func byContent(s string) []Match {
	var numbers []string
	for _, word := range codeWord().FindAllString(s, 64) {
		if word[0] >= '0' && word[0] <= '9' || word[0] == '-' {
			numbers = append(numbers, word)
		} else if m := byName(word); m != nil {
			return m
		}
	}
	lower := strings.ToLower(s)
	for _, c := range Codes() {
		if text := strings.ToLower(strings.TrimSuffix(c.Text, ".")); len(text) > 12 && strings.Contains(lower, text) {
			return []Match{{Code: c, As: "its text"}}
		}
	}
	if !announced().MatchString(s) {
		return nil
	}
	for _, n := range numbers {
		if m := byNumber(n); m != nil {
			return m
		}
	}
	return nil
}

var announced = pattern(`(?i)\b(?:error|err|code|errno|status|hresult|result|failed|return(?:s|ed)?|ret|rc)\b`)
