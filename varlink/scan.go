package varlink

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// A formatError says where a text is not the JSON that is accepted here: RFC 8259 in valid UTF-8,
// nested no deeper than the limit.
type formatError struct {
	at   int // bytes from the beginning
	what string
}

func (e *formatError) Error() string { return fmt.Sprintf("byte %d: %s", e.at, e.what) }

// A scanner walks a JSON text once, front to back, without building values. encoding/json is not
// enough for what comes from strangers: it takes names in any case, takes them twice, replaces what
// is not UTF-8, and nests ten thousand deep.
type scanner struct {
	text  []byte
	at    int
	depth int // arrays and objects that are open
	limit int
}

func (s *scanner) fail(what string) error { return &formatError{s.at, what} }

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// peek returns the byte that the next value begins with, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.at == len(s.text) {
		return 0
	}
	return s.text[s.at]
}

// end checks that nothing follows.
func (s *scanner) end() error {
	if s.peek() != 0 || s.at != len(s.text) {
		return s.fail("something follows the value")
	}
	return nil
}

// value passes over one value of any kind.
func (s *scanner) value() error {
	switch c := s.peek(); {
	case c == '{':
		return s.object()
	case c == '[':
		return s.array()
	case c == '"':
		_, err := s.str()
		return err
	case c == '-' || digit(c):
		_, err := s.number()
		return err
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case s.at == len(s.text):
		return s.fail("the text ends where a value is due")
	}
	return s.fail("no value begins like this")
}

func (s *scanner) word(word string) error {
	if len(s.text)-s.at < len(word) || string(s.text[s.at:s.at+len(word)]) != word {
		return s.fail("no value begins like this")
	}
	s.at += len(word)
	return nil
}

func (s *scanner) object() error {
	err := s.open('{')
	for err == nil {
		var more bool
		if _, more, err = s.member(); err != nil || !more {
			return err
		}
		err = s.value()
	}
	return err
}

func (s *scanner) array() error {
	err := s.open('[')
	for err == nil {
		var more bool
		if more, err = s.element(); err != nil || !more {
			return err
		}
		err = s.value()
	}
	return err
}

// open enters an object or an array; member or element find its end.
func (s *scanner) open(mark byte) error {
	if s.peek() != mark {
		return s.fail("expected '" + string(mark) + "'")
	}
	if s.depth++; s.depth > s.limit {
		return s.fail(fmt.Sprintf("nested more than %d deep", s.limit))
	}
	s.at++
	return nil
}

// member moves to the value of the next member of the open object and returns its name, or leaves
// the object and says that there is no more.
func (s *scanner) member() (name []byte, more bool, err error) {
	if more, err = s.separator('}'); err != nil || !more {
		return nil, false, err
	}
	if s.peek() != '"' {
		return nil, false, s.fail("expected a member's name")
	}
	if name, err = s.str(); err != nil {
		return nil, false, err
	}
	if s.peek() != ':' {
		return nil, false, s.fail("expected ':' after a member's name")
	}
	s.at++
	return name, true, nil
}

// element moves to the next element of the open array, or leaves the array.
func (s *scanner) element() (more bool, err error) {
	return s.separator(']')
}

// separator passes over what stands before a member or an element: nothing before the first, a
// comma before the others. The closing mark ends the group.
func (s *scanner) separator(closing byte) (more bool, err error) {
	first := s.first(closing)
	switch c := s.peek(); {
	case c == closing:
		s.at++
		s.depth--
		return false, nil
	case first && c != 0:
		return true, nil
	case c == ',' && !first:
		s.at++
		if s.peek() == closing {
			return false, s.fail("a comma without anything after it")
		}
		return true, nil
	}
	return false, s.fail("expected ',' or '" + string(closing) + "'")
}

// first says whether the scanner stands right behind the mark that opened the group. White space
// aside, nothing else ends in that byte: a string ends in a quotation mark.
func (s *scanner) first(closing byte) bool {
	for i := s.at - 1; i >= 0; i-- {
		switch s.text[i] {
		case ' ', '\t', '\n', '\r':
		default:
			return s.text[i] == closing-2 // '{' and '}', '[' and ']'
		}
	}
	return false
}

// str passes over a string and returns what it says.
func (s *scanner) str() ([]byte, error) {
	start := s.at
	plain := true
	for s.at++; s.at < len(s.text); {
		s.plain()
		if s.at == len(s.text) {
			break
		}
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return unquote(s.text[start:s.at], plain), nil
		case c == '\\':
			plain = false
			if err := s.escape(); err != nil {
				return nil, err
			}
		case c < ' ':
			return nil, s.fail("a control character in a string")
		default:
			r, n := utf8.DecodeRune(s.text[s.at:])
			if r == utf8.RuneError && n == 1 {
				return nil, s.fail("not UTF-8")
			}
			s.at += n
		}
	}
	return nil, s.fail("a string without an end")
}

// plain passes over what stands for itself and ends nothing.
func (s *scanner) plain() {
	rest := s.text[s.at:]
	for i, c := range rest {
		if c == '"' || c == '\\' || c < ' ' || c >= utf8.RuneSelf {
			s.at += i
			return
		}
	}
	s.at = len(s.text)
}

// escape passes over a backslash and what belongs to it.
func (s *scanner) escape() error {
	rest := s.text[s.at+1:]
	if len(rest) == 0 {
		return s.fail("a string without an end")
	}
	switch rest[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at += 2
		return nil
	case 'u':
		if len(rest) < 5 || !hex(rest[1:5]) {
			return s.fail(`\u without four hexadecimal digits`)
		}
		s.at += 6
		return nil
	}
	return s.fail("a backslash before something that has no meaning")
}

func hex(digits []byte) bool {
	for _, c := range digits {
		if !digit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// unquote returns the contents of a string that was found valid.
func unquote(quoted []byte, plain bool) []byte {
	if plain {
		return quoted[1 : len(quoted)-1]
	}
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return quoted // cannot happen: str has checked it
	}
	return []byte(text)
}

// number passes over a number and returns its text.
func (s *scanner) number() ([]byte, error) {
	start := s.at
	if s.text[s.at] == '-' {
		s.at++
	}
	switch {
	case s.at < len(s.text) && s.text[s.at] == '0':
		s.at++
	case s.digits() == 0:
		return nil, s.fail("a number without digits")
	}
	if s.at < len(s.text) && s.text[s.at] == '.' {
		s.at++
		if s.digits() == 0 {
			return nil, s.fail("a number without digits after the point")
		}
	}
	if s.at < len(s.text) && s.text[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.text) && (s.text[s.at] == '+' || s.text[s.at] == '-') {
			s.at++
		}
		if s.digits() == 0 {
			return nil, s.fail("a number without digits in its exponent")
		}
	}
	return s.text[start:s.at], nil
}

func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.text) && digit(s.text[s.at]) {
		s.at++
	}
	return s.at - start
}
