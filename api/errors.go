package api

import (
	"encoding/json"
	"errors"
	"strings"
	"syscall"

	"github.com/ivtd/ivt/irq"
)

// A Refusal is irq.Error on the wire: the parameters of every error of the interface.
type Refusal struct {
	Code      irq.Code   `json:"code"`
	Name      string     `json:"name"`
	Operation string     `json:"operation"`
	Vector    string     `json:"vector,omitempty"`
	Subject   string     `json:"subject,omitempty"`
	Reason    irq.Reason `json:"reason,omitempty"`
	Detail    string     `json:"detail,omitempty"`
	Conflicts []Conflict `json:"conflicts"`
	Rule      *irq.Rule  `json:"rule,omitempty"`
	Requested int        `json:"requested,omitempty"`
	Free      int        `json:"free,omitempty"`
	Remedies  []string   `json:"remedies"`
	Cause     string     `json:"cause,omitempty"`
	Errno     int        `json:"errno,omitempty"`
}

// A Conflict is irq.Conflict on the wire.
type Conflict struct {
	Vector  string     `json:"vector"`
	Reason  irq.Reason `json:"reason"`
	Holders []Holder   `json:"holders"`
}

// ErrorName returns the name of a code's error with the interface before it.
func ErrorName(c irq.Code) string { return Name + "." + c.Short() }

// FromError puts an error on the wire.
func FromError(e *irq.Error) Refusal {
	r := Refusal{
		Code: e.Code, Name: e.Code.Name(), Operation: e.Operation, Vector: name(e.Vector), Subject: e.Name, Reason: e.Reason, Detail: e.Detail,
		Conflicts: make([]Conflict, len(e.Conflicts)), Rule: e.Rule, Requested: e.Requested, Free: e.Free, Remedies: e.Remedies,
	}
	if r.Remedies == nil {
		r.Remedies = []string{}
	}
	for i, c := range e.Conflicts {
		r.Conflicts[i] = Conflict{name(c.Vector), c.Reason, FromHolders(c.Holders)}
	}
	if e.Err != nil {
		r.Cause = e.Err.Error()
		if errno := syscall.Errno(0); errors.As(e.Err, &errno) {
			r.Errno = int(errno)
		}
	}
	return r
}

// Err takes it off the wire. What cannot be read as a vector is left as the subject's text.
func (r Refusal) Err() *irq.Error {
	e := &irq.Error{
		Code: r.Code, Operation: r.Operation, Name: r.Subject, Reason: r.Reason, Detail: r.Detail, Rule: r.Rule,
		Requested: r.Requested, Free: r.Free, Remedies: r.Remedies,
	}
	if len(e.Remedies) == 0 {
		e.Remedies = nil
	}
	if err := e.Vector.UnmarshalText([]byte(r.Vector)); err != nil && e.Name == "" {
		e.Name = r.Vector
	}
	for _, c := range r.Conflicts {
		v, _ := irq.ParseVector(c.Vector) // a name that a newer ivtd knows: the zero vector, its holders still tell
		e.Conflicts = append(e.Conflicts, irq.Conflict{Vector: v, Reason: c.Reason, Holders: Holders(c.Holders)})
	}
	if r.Cause != "" {
		e.Err = &Cause{Text: r.Cause, Errno: syscall.Errno(r.Errno)}
	}
	return e
}

// A Cause is an error that happened inside ivtd: its text, and its errno if it had one.
type Cause struct {
	Text  string
	Errno syscall.Errno
}

// Error returns the text.
func (c *Cause) Error() string { return c.Text }

// Unwrap returns the errno, so that errors.Is(err, syscall.EMFILE) holds on both sides.
func (c *Cause) Unwrap() error {
	if c.Errno == 0 {
		return nil
	}
	return c.Errno
}

// ParseError reads an error that was received. ok is false if it is none of this interface.
func ParseError(errorName string, parameters json.RawMessage) (e *irq.Error, ok bool) {
	short, ok := strings.CutPrefix(errorName, Name+".")
	if !ok {
		return nil, false
	}
	var r Refusal
	if err := json.Unmarshal(parameters, &r); err != nil {
		return &irq.Error{Code: codeOf(short), Operation: "read the reply of ivtd", Detail: "its error cannot be read", Err: err}, codeOf(short) != 0
	}
	if code := codeOf(short); code != 0 {
		r.Code = code
	}
	return r.Err(), r.Code != 0
}

func codeOf(short string) irq.Code {
	for _, c := range irq.Codes() {
		if c.Short() == short {
			return c
		}
	}
	return 0
}

// name is the vector's name, "" for the zero vector.
func name(v irq.Vector) string {
	if v.IsZero() {
		return ""
	}
	return v.String()
}
