package explain

import (
	"fmt"
	"strings"
)

// A Severity says how much something matters. The zero value is Info.
type Severity uint8

// The severities, ascending.
const (
	Info    Severity = iota // nothing to do: harmless, or good to know
	Notice                  // look at it when there is time: something is not as it could be
	Warning                 // something does not work, or will stop working
	Serious                 // data, a device or the machine's security is at stake now
)

var severityNames = [...]string{"info", "notice", "warning", "serious"}

// Severities returns the names, ascending.
func Severities() []string { return severityNames[:] }

// String returns "info", "notice", "warning" or "serious".
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return fmt.Sprintf("Severity(%d)", uint8(s))
}

// ParseSeverity reads what String writes, in any case. Anything else is an error that lists what there is.
func ParseSeverity(text string) (Severity, error) {
	for i, name := range severityNames {
		if strings.EqualFold(text, name) {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("severity %q: it must be one of %s", text, strings.Join(severityNames[:], ", "))
}

// MarshalText returns String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is ParseSeverity.
func (s *Severity) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSeverity(string(text))
	return err
}
