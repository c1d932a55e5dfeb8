package irq

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// errorJSON is an Error in JSON. The name follows from the code and is not read back.
type errorJSON struct {
	Code      Code       `json:"code"`
	Name      string     `json:"name"`
	Operation string     `json:"operation"`
	Vector    string     `json:"vector,omitempty"`
	Reason    Reason     `json:"reason,omitempty"`
	Detail    string     `json:"detail,omitempty"`
	Conflicts []Conflict `json:"conflicts,omitempty"`
	Rule      *Rule      `json:"rule,omitempty"`
	Requested int        `json:"requested,omitempty"`
	Free      *int       `json:"free,omitempty"`
	Remedies  []string   `json:"remedies,omitempty"`
}

// MarshalJSON returns one object with code, name (of the code), operation, vector (or what was written
// instead of one), reason, detail (with the cause), conflicts, rule, requested, free and remedies.
// Members that say nothing are left out. Characters that a terminal would act on are escaped.
func (e *Error) MarshalJSON() ([]byte, error) {
	j := errorJSON{
		Code: e.Code, Name: e.Code.Name(), Operation: e.Operation, Vector: e.Name, Reason: e.Reason, Detail: e.Detail,
		Conflicts: e.Conflicts, Rule: e.Rule, Requested: e.Requested, Remedies: e.Remedies,
	}
	if !e.Vector.IsZero() {
		j.Vector = e.Vector.String()
	}
	if e.Requested > 0 {
		j.Free = &e.Free
	}
	if e.Err != nil && e.Detail != "" {
		j.Detail += ": "
	}
	if e.Err != nil {
		j.Detail += e.Err.Error()
	}
	b, err := json.Marshal(j)
	return escapeJSON(b), err
}

// UnmarshalJSON reads what MarshalJSON writes. The cause has become part of the detail.
func (e *Error) UnmarshalJSON(b []byte) error {
	var j errorJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("read an error: %w", err)
	}
	*e = Error{
		Code: j.Code, Operation: j.Operation, Reason: j.Reason, Detail: j.Detail, Conflicts: j.Conflicts, Rule: j.Rule,
		Requested: j.Requested, Remedies: j.Remedies,
	}
	if v, err := ParseVector(j.Vector); err == nil {
		e.Vector = v
	} else {
		e.Name = j.Vector
	}
	if j.Free != nil {
		e.Free = *j.Free
	}
	return nil
}

// MarshalJSON writes no holders as an empty list.
func (c Conflict) MarshalJSON() ([]byte, error) {
	type plain Conflict
	if c.Holders == nil {
		c.Holders = []Holder{}
	}
	return json.Marshal(plain(c))
}

type plainHolder Holder

// holderJSON adds what the Go form keeps as a duration.
type holderJSON struct {
	plainHolder
	SecondsLeft *int64 `json:"secondsLeft,omitempty"`
}

// MarshalJSON adds secondsLeft, rounded up, while a grace runs.
func (h Holder) MarshalJSON() ([]byte, error) {
	j := holderJSON{plainHolder: plainHolder(h)}
	if h.Left > 0 {
		left := int64(math.Ceil(h.Left.Seconds()))
		j.SecondsLeft = &left
	}
	b, err := json.Marshal(j)
	return escapeJSON(b), err
}

// UnmarshalJSON reads what MarshalJSON writes.
func (h *Holder) UnmarshalJSON(b []byte) error {
	var j holderJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*h = Holder(j.plainHolder)
	if j.SecondsLeft != nil && *j.SecondsLeft > 0 && *j.SecondsLeft < math.MaxInt64/int64(time.Second) {
		h.Left = time.Duration(*j.SecondsLeft) * time.Second
	}
	return nil
}

// escapeJSON writes what is not printable as \uXXXX. In valid JSON that can only be inside of strings.
func escapeJSON(b []byte) []byte {
	var out []byte
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if out == nil && (r == utf8.RuneError || r >= 0x7f && !strconv.IsPrint(r)) {
			out = append(make([]byte, 0, len(b)+16), b[:i]...)
		}
		switch {
		case out == nil:
		case r < 0x7f || strconv.IsPrint(r) && r != utf8.RuneError:
			out = append(out, b[i:i+n]...)
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
		i += n
	}
	if out == nil {
		return b
	}
	return out
}
