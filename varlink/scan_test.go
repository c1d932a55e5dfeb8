package varlink

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func scan(text []byte, nesting int) error {
	s := scanner{text: text, limit: nesting}
	if err := s.value(); err != nil {
		return err
	}
	return s.end()
}

func TestScannerSaysWhere(t *testing.T) {
	tests := []struct {
		name, text string
		at         int
		what       string
	}{
		{"empty", "", 0, "ends"},
		{"two values", "1 2", 2, "something follows"},
		{"a NUL behind", "1\x00", 1, "something follows"},
		{"open object", `{"a":1`, 6, "expected ','"},
		{"comma at the end", `[1,]`, 3, "comma"},
		{"comma at the beginning", `[,1]`, 1, "no value"},
		{"no colon", `{"a" 1}`, 5, "':'"},
		{"name without quotes", `{a:1}`, 1, "name"},
		{"control character", "\"a\nb\"", 2, "control character"},
		{"not UTF-8", "\"a\xff\"", 2, "not UTF-8"},
		{"surrogate in UTF-8", "\"\xed\xa0\x80\"", 1, "not UTF-8"},
		{"bad escape", `"\x"`, 1, "no meaning"},
		{"short escape", `"\u12"`, 1, "hexadecimal"},
		{"no end", `"abc`, 4, "without an end"},
		{"leading zero", `01`, 1, "something follows"},
		{"point without digits", `1.`, 2, "after the point"},
		{"exponent without digits", `1e+`, 3, "exponent"},
		{"only a sign", `-`, 1, "without digits"},
		{"word", `nul`, 0, "no value"},
		{"too deep", `[[[[1]]]]`, 3, "nested more than 3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := scan([]byte(test.text), 3)
			var bad *formatError
			if !errors.As(err, &bad) || bad.at != test.at || !strings.Contains(bad.what, test.what) {
				t.Errorf("got %v\nwant byte %d: ...%s", err, test.at, test.what)
			}
		})
	}
}

// The scanner accepts what encoding/json does, unless it is not UTF-8 or too deep.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e+3,true,false,null,"x\u00e9\n"],"b":{}}`, `[]`, `"\ud800"`, "\"\xc3\x28\"", `[[[[[[[[[]]]]]]]]]`, `{"":0}`, ` 0 `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := scan(text, 8)
		want := json.Valid(text) && utf8.Valid(text) && depth(text) <= 8
		if want != (err == nil) {
			t.Fatalf("%q: error %v, encoding/json says %v", text, err, want)
		}
	})
}

// depth counts how deep a valid text is nested.
func depth(text []byte) int {
	decoder := json.NewDecoder(bytes.NewReader(text))
	now, most := 0, 0
	for {
		token, err := decoder.Token()
		if err != nil {
			return most
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			now++
			most = max(most, now)
		case json.Delim(']'), json.Delim('}'):
			now--
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"method":"a.b.C","parameters":{"x":[1]},"more":true}`))
	f.Add([]byte(`{"method":"a.b.C","oneway":true,"upgrade":false,"parameters":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseRequest(text, 32)
		if err != nil {
			return
		}
		if r.parameters != nil && !json.Valid(r.parameters) {
			t.Fatalf("parameters %q", r.parameters)
		}
		frame := newFrame()
		defer frame.free()
		if err := frame.encodeRequest(r.method, r.parameters, r.more, r.oneway); err != nil {
			t.Fatalf("%q does not encode again: %v", text, err)
		}
		body, nul := bytes.CutSuffix(frame.Bytes(), []byte{0})
		if !nul || bytes.IndexByte(body, 0) >= 0 {
			t.Fatalf("frame %q", frame.Bytes())
		}
		again, err := parseRequest(body, 32)
		if err != nil || again.method != r.method || again.more != r.more || again.oneway != r.oneway {
			t.Fatalf("%q became %q: %v", text, body, err)
		}
	})
}

func TestRequestIsStrict(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `{}`, `{"method":1}`, `{"method":"a","Method":"b"}`, `{"method":"a","method":"b"}`,
		`{"method":"a","more":1}`, `{"method":"a","more":true,"oneway":true}`, `{"method":"a","upgrade":true}`,
		`{"method":"a","parameters":[]}`, `{"method":"a","mroe":true}`, `{"method":"a"}{}`,
	} {
		if r, err := parseRequest([]byte(text), 32); err == nil {
			t.Errorf("%s passed as %+v", text, r)
		}
	}
}
