package varlink

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// checkNesting is how deep CheckReply and CheckError follow a value. A server's own limit is in
// Limits.
const checkNesting = 128

// A TypeError says which value does not have the type that the interface gives it.
type TypeError struct {
	Path string // e.g. "vectors[2]" or "holder.pid"; empty for the parameters as a whole
	Want string // e.g. "string", "?int", "no such member"
	Got  string // what kind of value is there, never its text
}

func (e *TypeError) Error() string {
	path := e.Path
	if path == "" {
		path = "parameters"
	}
	return fmt.Sprintf("varlink: %s: want %s, got %s", path, e.Want, e.Got)
}

// CheckCall says whether the parameters are those of the method, whose name may stand with or
// without the interface's. The error is an *Error, MethodNotFound, for a method that is not
// declared, otherwise a *TypeError. Names that are not declared are errors: a caller who misspells
// an option must not be served without it. Missing and null members are the same, and fine where
// the type is optional.
func (i *Interface) CheckCall(method string, parameters json.RawMessage) error {
	m := i.Method(method)
	if m == nil {
		return MethodNotFound(i.Name + "." + i.short(method))
	}
	return check(m.In, parameters, checkNesting)
}

// CheckReply says whether the parameters are those of the method's reply. Tests use it to hold the
// description and the code together.
func (i *Interface) CheckReply(method string, parameters json.RawMessage) error {
	m := i.Method(method)
	if m == nil {
		return MethodNotFound(i.Name + "." + i.short(method))
	}
	return check(m.Out, parameters, checkNesting)
}

// CheckError says whether the interface declares an error of that name, with or without the
// interface's before it, and whether the parameters are its own.
func (i *Interface) CheckError(name string, parameters json.RawMessage) error {
	m := i.Error(name)
	if m == nil {
		return fmt.Errorf("varlink: %s declares no error %q", i.Name, i.short(name))
	}
	return check(m.Type, parameters, checkNesting)
}

// check walks the parameters along their type. No parameters are the same as {}.
func check(t *Type, parameters json.RawMessage, nesting int) error {
	if len(parameters) == 0 {
		parameters = json.RawMessage("{}")
	}
	c := checker{scanner{text: parameters, limit: nesting}}
	err := c.value(t)
	if err == nil {
		err = c.end()
	}
	if bad, ok := err.(*formatError); ok {
		return &TypeError{Want: t.describe(), Got: bad.Error()}
	}
	return err
}

// A checker is a scanner that knows what to expect. It allocates nothing unless it finds an error.
type checker struct{ scanner }

func (c *checker) value(t *Type) error {
	switch t.Kind {
	case Named:
		return c.value(t.target)
	case Optional:
		if c.peek() == 'n' {
			return c.word("null")
		}
		return c.value(t.Elem)
	case Struct:
		return c.structure(t)
	case Array:
		return c.list(t)
	case Map:
		return c.dictionary(t)
	}
	return c.scalar(t)
}

// scalar checks what one token is enough for.
func (c *checker) scalar(t *Type) error {
	got := kindOf(c.peek())
	start := c.at
	switch {
	case t.Kind == Int && got == "number":
		text, err := c.number()
		if err != nil {
			return err
		}
		if _, err := strconv.ParseInt(string(text), 10, 64); err != nil {
			return &TypeError{Want: "int of 64 bits", Got: "another number"}
		}
		return nil
	case t.Kind == Enum && got == "string":
		text, err := c.str()
		if err != nil {
			return err
		}
		if !t.has(text) {
			return &TypeError{Want: t.describe(), Got: "another string"}
		}
		return nil
	case accepts(t.Kind, got):
		return c.scanner.value()
	}
	c.at = start
	return wrong(t, got)
}

func accepts(kind Kind, got string) bool {
	switch kind {
	case Bool:
		return got == "bool"
	case Float:
		return got == "number"
	case String:
		return got == "string"
	case Object:
		return got == "object"
	case Any:
		return got != "null"
	}
	return false
}

func wrong(t *Type, got string) error { return &TypeError{Want: t.describe(), Got: got} }

// has says whether an enumeration has a value.
func (t *Type) has(value []byte) bool {
	for i := range t.Values {
		if t.Values[i].Name == string(value) {
			return true
		}
	}
	return false
}

func (c *checker) list(t *Type) error {
	if got := kindOf(c.peek()); got != "array" {
		return wrong(t, got)
	}
	if err := c.open('['); err != nil {
		return err
	}
	for n := 0; ; n++ {
		more, err := c.element()
		if err != nil || !more {
			return err
		}
		if err := c.value(t.Elem); err != nil {
			return below("["+strconv.Itoa(n)+"]", err)
		}
	}
}

func (c *checker) dictionary(t *Type) error {
	if got := kindOf(c.peek()); got != "object" {
		return wrong(t, got)
	}
	if err := c.open('{'); err != nil {
		return err
	}
	for {
		name, more, err := c.member()
		if err != nil || !more {
			return err
		}
		if err := c.value(t.Elem); err != nil {
			return below("["+strconv.Quote(string(name))+"]", err)
		}
	}
}

func (c *checker) structure(t *Type) error {
	if got := kindOf(c.peek()); got != "object" {
		return wrong(t, got)
	}
	if err := c.open('{'); err != nil {
		return err
	}
	var seen fieldSet
	for {
		name, more, err := c.member()
		if err != nil {
			return err
		}
		if !more {
			return missing(t, &seen)
		}
		if err := c.field(t, name, &seen); err != nil {
			return err
		}
	}
}

func (c *checker) field(t *Type, name []byte, seen *fieldSet) error {
	i := t.field(name)
	if i < 0 {
		return &TypeError{Path: shown(name), Want: "no such member", Got: kindOf(c.peek())}
	}
	if seen.add(i) {
		return &TypeError{Path: t.Fields[i].Name, Want: "one such member", Got: "another"}
	}
	if err := c.value(t.Fields[i].Type); err != nil {
		return below(t.Fields[i].Name, err)
	}
	return nil
}

// field returns the index of a field, -1 if there is none. Structs have a handful.
func (t *Type) field(name []byte) int {
	for i := range t.Fields {
		if t.Fields[i].Name == string(name) {
			return i
		}
	}
	return -1
}

func missing(t *Type, seen *fieldSet) error {
	for i, f := range t.Fields {
		if f.Type.Kind != Optional && !seen.has(i) {
			return &TypeError{Path: f.Name, Want: f.Type.describe(), Got: "nothing"}
		}
	}
	return nil
}

// below puts a name before the path of an error on its way up.
func below(name string, err error) error {
	bad, ok := err.(*TypeError)
	if !ok {
		return err
	}
	if bad.Path != "" && bad.Path[0] != '[' {
		name += "."
	}
	bad.Path = name + bad.Path
	return bad
}

// shown is how a name that a stranger chose is repeated: short, and without anything that would act
// on a terminal.
func shown(name []byte) string {
	const most = 64
	if len(name) > most {
		name = name[:most]
	}
	if fieldName().Match(name) {
		return string(name)
	}
	return strconv.QuoteToASCII(string(name))
}

// kindOf names the kind of value that begins with a byte.
func kindOf(c byte) string {
	switch {
	case c == '{':
		return "object"
	case c == '[':
		return "array"
	case c == '"':
		return "string"
	case c == 't' || c == 'f':
		return "bool"
	case c == 'n':
		return "null"
	case c == '-' || digit(c):
		return "number"
	}
	return "nothing"
}

// A fieldSet remembers which fields were seen; the first 64 without an allocation.
type fieldSet struct {
	first uint64
	more  map[int]bool
}

// add notes a field and says whether it was there before.
func (s *fieldSet) add(i int) bool {
	was := s.has(i)
	switch {
	case i < 64:
		s.first |= 1 << i
	case s.more == nil:
		s.more = map[int]bool{i: true}
	default:
		s.more[i] = true
	}
	return was
}

func (s *fieldSet) has(i int) bool {
	if i < 64 {
		return s.first&(1<<i) != 0
	}
	return s.more[i]
}
