package varlink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// request is the object that a call is sent as.
type request struct {
	method       string
	parameters   json.RawMessage
	more, oneway bool
}

// parseRequest reads a call. It is strict, because the sender is a stranger: each member once and
// by its exact name. An upgrade of the protocol is not offered.
func parseRequest(text []byte, nesting int) (request, error) {
	var r request
	seen := 0
	err := members(text, nesting, func(s *scanner, name string) (err error) {
		var upgrade bool
		bit := 0
		switch name {
		case "method":
			bit = 1
			err = s.textTo(&r.method)
		case "parameters":
			bit = 2
			err = s.objectTo(&r.parameters)
		case "more":
			bit = 4
			err = s.boolTo(&r.more)
		case "oneway":
			bit = 8
			err = s.boolTo(&r.oneway)
		case "upgrade":
			bit = 16
			err = s.boolTo(&upgrade)
		default:
			return s.fail("a call has no such member")
		}
		if err == nil && seen&bit != 0 {
			return s.fail("the member " + name + " is there twice")
		}
		if upgrade {
			return s.fail("upgrade is not supported")
		}
		seen |= bit
		return err
	})
	switch {
	case err != nil:
		return r, err
	case seen&1 == 0:
		return r, errors.New("a call needs a method")
	case r.more && r.oneway:
		return r, errors.New("a call is either oneway or wants more, not both")
	}
	return r, nil
}

// response is the object that a reply is sent as.
type response struct {
	parameters json.RawMessage
	failure    string // the error's name
	continues  bool
}

// parseResponse reads a reply. Members that later protocols may have are passed over.
func parseResponse(text []byte, nesting int) (response, error) {
	var r response
	err := members(text, nesting, func(s *scanner, name string) error {
		switch name {
		case "parameters":
			return s.objectTo(&r.parameters)
		case "error":
			return s.textTo(&r.failure)
		case "continues":
			return s.boolTo(&r.continues)
		}
		return s.value()
	})
	return r, err
}

// members walks the members of the object that a message is.
func members(text []byte, nesting int, each func(s *scanner, name string) error) error {
	s := scanner{text: text, limit: nesting}
	if len(text) == 0 {
		return s.fail("the message is empty")
	}
	if err := s.open('{'); err != nil {
		return err
	}
	for {
		name, more, err := s.member()
		if err != nil {
			return err
		}
		if !more {
			return s.end()
		}
		if err := each(&s, string(name)); err != nil {
			return err
		}
	}
}

func (s *scanner) textTo(into *string) error {
	if s.peek() != '"' {
		return s.fail("expected a string")
	}
	text, err := s.str()
	*into = string(text)
	return err
}

func (s *scanner) boolTo(into *bool) error {
	switch s.peek() {
	case 't':
		*into = true
		return s.word("true")
	case 'f':
		*into = false
		return s.word("false")
	}
	return s.fail("expected true or false")
}

// objectTo keeps an object's text. null is the same as nothing.
func (s *scanner) objectTo(into *json.RawMessage) error {
	switch s.peek() {
	case 'n':
		*into = nil
		return s.word("null")
	case '{':
		start := s.at
		err := s.object()
		*into = s.text[start:s.at]
		return err
	}
	return s.fail("expected an object")
}

// A frame is a buffer that a message is written in.
type frame struct {
	bytes.Buffer
	*json.Encoder
}

// frameKeep is the capacity up to which a buffer is kept for the next message.
const frameKeep = 64 << 10

var frames = sync.Pool{New: func() any {
	f := &frame{}
	f.Encoder = json.NewEncoder(&f.Buffer)
	f.SetEscapeHTML(false)
	return f
}}

func newFrame() *frame {
	f := frames.Get().(*frame)
	f.Reset()
	return f
}

func (f *frame) free() {
	if f.Cap() <= frameKeep {
		frames.Put(f)
	}
}

// value appends one value. encoding/json escapes control characters, so the only NUL of a frame is
// its last byte.
func (f *frame) value(v any) error {
	if err := f.Encode(v); err != nil {
		return err
	}
	f.Truncate(f.Len() - 1) // the encoder's newline
	return nil
}

// object appends one value that has to be an object; nil is the empty one. It returns its text.
func (f *frame) object(v any) (json.RawMessage, error) {
	start := f.Len()
	if raw, ok := v.(json.RawMessage); v == nil || ok && len(raw) == 0 {
		f.WriteString("{}")
	} else if err := f.value(v); err != nil {
		return nil, err
	}
	text := f.Bytes()[start:]
	if string(text) == "null" { // a nil pointer or map
		f.Truncate(start)
		f.WriteString("{}")
		text = f.Bytes()[start:]
	}
	if text[0] != '{' {
		return nil, fmt.Errorf("parameters are a JSON object, not a %s", kindOf(text[0]))
	}
	return text, nil
}

// encodeRequest writes a call.
func (f *frame) encodeRequest(method string, parameters any, more, oneway bool) error {
	f.WriteString(`{"method":`)
	if err := f.value(method); err != nil {
		return err
	}
	f.WriteString(`,"parameters":`)
	if _, err := f.object(parameters); err != nil {
		return err
	}
	if more {
		f.WriteString(`,"more":true`)
	}
	if oneway {
		f.WriteString(`,"oneway":true`)
	}
	f.WriteString("}\x00")
	return nil
}

// encodeResponse writes a reply, or an error if failure names one, and returns the parameters as
// they stand in it.
func (f *frame) encodeResponse(failure string, parameters any, continues bool) (json.RawMessage, error) {
	f.WriteByte('{')
	if failure != "" {
		f.WriteString(`"error":`)
		if err := f.value(failure); err != nil {
			return nil, err
		}
		f.WriteByte(',')
	}
	f.WriteString(`"parameters":`)
	text, err := f.object(parameters)
	if err != nil {
		return nil, err
	}
	if continues {
		f.WriteString(`,"continues":true`)
	}
	f.WriteString("}\x00")
	return text, nil
}
