package irq

import (
	"cmp"
	"strconv"
	"strings"
)

// MaxIndex is the largest index of a vector. MaxName is the longest name, in bytes.
const (
	MaxIndex = 1<<24 - 1
	MaxName  = 128
)

// A Vector names one interrupt of a source: "pci:0000:3b:00.0/msix/2", "soft:demo/3", "irq:36".
// Its text form is canonical: two equal vectors print the same, and ParseVector of a printed one is equal.
// The zero Vector names nothing.
type Vector struct {
	Source string // "pci:0000:3b:00.0", "soft:demo"; "irq" for a Linux interrupt by number
	Type   string // "intx", "msi" or "msix" for pci, "" for sources with one kind of vector
	Index  int    // from 0 to MaxIndex
}

// ParseVector reads "scheme:device/index", "scheme:device/type/index" or "irq:number".
// Anything else is ErrInvalidParameter with reason ReasonMalformed or ReasonOutOfRange.
func ParseVector(s string) (Vector, error) {
	bad := func(reason Reason, detail string) (Vector, error) {
		return Vector{}, &Error{Code: ErrInvalidParameter, Operation: "parse vector", Name: s, Reason: reason, Detail: detail,
			Remedies: []string{"write a vector as scheme:device/index, for example soft:demo/3, pci:0000:3b:00.0/msix/2 or irq:36"}}
	}
	if len(s) > MaxName {
		return bad(ReasonMalformed, "the name is longer than "+strconv.Itoa(MaxName)+" bytes")
	}
	if number, ok := strings.CutPrefix(s, "irq:"); ok {
		index, detail := parseIndex(number)
		if detail != "" {
			return bad(indexReason(number), detail)
		}
		return Vector{Source: "irq", Index: index}, nil
	}
	slash := strings.LastIndexByte(s, '/')
	if slash < 0 {
		return bad(ReasonMalformed, "there is no index after a slash")
	}
	index, detail := parseIndex(s[slash+1:])
	if detail != "" {
		return bad(indexReason(s[slash+1:]), detail)
	}
	source, kind, _ := strings.Cut(s[:slash], "/")
	if source == "irq" {
		return bad(ReasonMalformed, "a Linux interrupt is written irq:number")
	}
	if detail := checkSource(source); detail != "" {
		return bad(ReasonMalformed, detail)
	}
	if strings.Contains(s[:slash], "/") && !isWord(kind) {
		return bad(ReasonMalformed, "the interrupt type is not a word of lower-case letters and digits")
	}
	return Vector{Source: source, Type: kind, Index: index}, nil
}

// ParseSource reads the name of a source, "scheme:device". A malformed one is ErrInvalidParameter.
func ParseSource(s string) (string, error) {
	if detail := checkSource(s); detail != "" {
		return "", &Error{Code: ErrInvalidParameter, Operation: "parse source", Name: s, Reason: ReasonMalformed, Detail: detail,
			Remedies: []string{"write a source as scheme:device, for example soft:demo or pci:0000:3b:00.0"}}
	}
	return s, nil
}

// String returns the canonical name.
func (v Vector) String() string {
	switch {
	case v.Source == "irq":
		return "irq:" + strconv.Itoa(v.Index)
	case v.Type == "":
		return v.Source + "/" + strconv.Itoa(v.Index)
	}
	return v.Source + "/" + v.Type + "/" + strconv.Itoa(v.Index)
}

// Scheme returns what stands before the first colon of the source: "pci", "soft", "irq".
func (v Vector) Scheme() string {
	scheme, _, _ := strings.Cut(v.Source, ":")
	return scheme
}

// valid reports whether v is what ParseVector could have returned.
func (v Vector) valid() bool {
	if v.Index < 0 || v.Index > MaxIndex || v.Type != "" && !isWord(v.Type) || checkSource(v.Source) != "" {
		return false
	}
	return v.length() <= MaxName && (v.Source != "irq" || v.Type == "")
}

// length is that of the canonical name.
func (v Vector) length() int {
	n := len(v.Source) + len("/")
	if v.Type != "" {
		n += len(v.Type) + len("/")
	}
	for i := v.Index; ; i /= 10 {
		if n++; i < 10 {
			return n
		}
	}
}

// IsZero reports whether v names nothing.
func (v Vector) IsZero() bool { return v == Vector{} }

// Compare orders by source, type and index.
func (v Vector) Compare(w Vector) int {
	return cmp.Or(cmp.Compare(v.Source, w.Source), cmp.Compare(v.Type, w.Type), cmp.Compare(v.Index, w.Index))
}

// MarshalText returns the canonical name; the zero Vector is empty.
func (v Vector) MarshalText() ([]byte, error) {
	if v.IsZero() {
		return nil, nil
	}
	return []byte(v.String()), nil
}

// UnmarshalText is ParseVector; empty text gives the zero Vector.
func (v *Vector) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*v = Vector{}
		return nil
	}
	*v, err = ParseVector(string(text))
	return err
}

func checkSource(s string) (detail string) {
	scheme, device, ok := strings.Cut(s, ":")
	switch {
	case s == "irq":
		return ""
	case !ok:
		return "there is no scheme: before the device"
	case !isWord(scheme):
		return "the scheme is not a word of lower-case letters and digits"
	case device == "":
		return "there is no device after the scheme"
	case len(s) > MaxName:
		return "the name is longer than " + strconv.Itoa(MaxName) + " bytes"
	}
	for i := range len(device) {
		if c := device[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._:-@+", c) >= 0) {
			return "the device may have letters, digits and ._:-@+ only"
		}
	}
	return ""
}

func isWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}

// parseIndex accepts decimal digits without sign, spaces or leading zeros, so that one vector has one name.
func parseIndex(s string) (index int, detail string) {
	if s == "" {
		return 0, "the index is missing"
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, "the index is not a decimal number"
		}
	}
	if len(s) > 1 && s[0] == '0' {
		return 0, "the index has a leading zero"
	}
	if index, err := strconv.Atoi(s); err == nil && index <= MaxIndex {
		return index, ""
	}
	return 0, "the index is larger than " + strconv.Itoa(MaxIndex)
}

func indexReason(s string) Reason {
	if _, detail := parseIndex(s); strings.HasPrefix(detail, "the index is larger") {
		return ReasonOutOfRange
	}
	return ReasonMalformed
}
