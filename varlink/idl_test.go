package varlink

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ping has one of everything.
const ping = `# What it is for.
#
#   indented
interface org.example.ping

# Above a type.
type Colour (red, green,
  # above a value
  blue)
type Point (x: float, y: float)
type Everything (
  b: bool, i: int, f: float, s: string, o: object, a: any,
  list: []string, lists: [][]int, map: [string]Point, maybe: ?Colour,
  # above a field
  inner: (kind: (one, two), deep: ?[]?(n: int)),
  nothing: ()
)

method Ping(ping: string) -> (pong: string)
method Watch() -> (event: ?Everything)
method Connect(vectors: []string, shared: ?bool, colour: ?Colour) -> (deliveryFileDescriptor: int)

error Busy (by: ?string)
# At the end.
`

// formatted is ping as String writes it, and as varlinkctl does.
const formatted = `# What it is for.
#
#   indented
interface org.example.ping

# Above a type.
type Colour(
	red,
	green,
	# above a value
	blue
)

type Point(
	x: float,
	y: float
)

type Everything(
	b: bool,
	i: int,
	f: float,
	s: string,
	o: object,
	a: any,
	list: []string,
	lists: [][]int,
	map: [string]Point,
	maybe: ?Colour,
	# above a field
	inner: (
		kind: (
			one,
			two
		),
		deep: ?[]?(
			n: int
		)
	),
	nothing: ()
)

method Ping(
	ping: string
) -> (
	pong: string
)

method Watch() -> (
	event: ?Everything
)

method Connect(
	vectors: []string,
	shared: ?bool,
	colour: ?Colour
) -> (
	deliveryFileDescriptor: int
)

error Busy(
	by: ?string
)

# At the end.
`

func TestParseAndFormat(t *testing.T) {
	iface, err := ParseInterface(ping)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(formatted, iface.String()); diff != "" {
		t.Errorf("formatted (-want +got):\n%s", diff)
	}
	again, err := ParseInterface(iface.String())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(iface.String(), again.String()); diff != "" {
		t.Errorf("formatting is not stable (-first +second):\n%s", diff)
	}
}

func TestParsedInterface(t *testing.T) {
	iface := MustParseInterface(ping)
	for _, name := range []string{"Ping", "org.example.ping.Ping"} {
		if m := iface.Method(name); m == nil || m.In.Fields[0].Name != "ping" {
			t.Errorf("Method(%q) = %+v", name, m)
		}
	}
	if m := iface.Method("org.example.other.Ping"); m != nil {
		t.Errorf("a method of another interface was found: %+v", m)
	}
	if m := iface.Error("Busy"); m == nil || m.Type.Fields[0].Type.Kind != Optional {
		t.Errorf("Error(Busy) = %+v", m)
	}
	if m := iface.Type("Colour"); m == nil || m.Doc != "Above a type." || m.Type.Values[2].Doc != "above a value" {
		t.Errorf("Type(Colour) = %+v", m)
	}
}

func TestParseErrorsSayWhere(t *testing.T) {
	tests := []struct {
		name, text   string
		line, column int
		reason       string
	}{
		{"empty", "", 1, 1, `expected "interface", found the end`},
		{"not UTF-8", "interface org.example.a\xff", 1, 1, "not valid UTF-8"},
		{"no name", "interface\n", 2, 1, "the interface's name"},
		{"name without a dot", "interface ping", 1, 11, "the interface's name"},
		{"name ends in a dash", "interface org.example-", 1, 11, "the interface's name"},
		{"unknown keyword", "interface a.b\nmethods A() -> ()", 2, 1, `expected type, method or error, found "methods"`},
		{"small letter", "interface a.b\ntype a ()", 2, 6, "capital letter"},
		{"method without a reply", "interface a.b\nmethod A()", 2, 11, `expected "->"`},
		{"twice", "interface a.b\ntype A ()\nerror A ()", 3, 7, "A is declared twice"},
		{"field twice", "interface a.b\ntype A (a: int,\n  a: int)", 3, 3, "a is there twice"},
		{"value twice", "interface a.b\ntype A (a, a)", 2, 12, "a is there twice"},
		{"value among fields", "interface a.b\ntype A (a: int, b)", 2, 18, `expected ":"`},
		{"field among values", "interface a.b\ntype A (a, b: int)", 2, 13, `expected ")"`},
		{"comma at the end", "interface a.b\ntype A (a, )", 2, 12, "expected a name"},
		{"unknown type", "interface a.b\n\ntype A (a: B)", 3, 12, "no type B"},
		{"wrong case of a type", "interface a.b\ntype A (a: String)", 2, 12, "no type String"},
		{"optional twice", "interface a.b\ntype A (a: ??int)", 2, 12, "once, not twice"},
		{"map of ints", "interface a.b\ntype A (a: [int]int)", 2, 13, "maps [string]type"},
		{"enumeration as parameters", "interface a.b\nmethod A (a) -> ()", 2, 10, "enumeration"},
		{"strange character", "interface a.b\ntype A {", 2, 8, `unexpected character '{'`},
		{"wide characters count once", "interface a.b\n# é\ntype A (é)", 3, 9, `unexpected character 'é'`},
		{"terminal escape in a comment", "interface a.b\n# \x1b[2J", 2, 3, "control character"},
		{"unfinished", "interface a.b\ntype A (a: int", 2, 15, `found the end`},
		{"nested without end", "interface a.b\ntype A " + strings.Repeat("(a:", 1000), 2, 8 + 3*31 + 3, "nested more than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseInterface(test.text)
			var bad *SyntaxError
			if !errors.As(err, &bad) {
				t.Fatalf("error is %v, want a SyntaxError", err)
			}
			if bad.Line != test.line || bad.Column != test.column || !strings.Contains(bad.Reason, test.reason) {
				t.Errorf("got %v\nwant line %d, column %d: ...%s", bad, test.line, test.column, test.reason)
			}
		})
	}
}

func FuzzParseInterface(f *testing.F) {
	f.Add(ping)
	f.Add(serviceDescription)
	f.Add("interface a.b\ntype A (a: ?[string]?[](b, c))#\n#x\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		iface, err := ParseInterface(text)
		if err != nil {
			var bad *SyntaxError
			if !errors.As(err, &bad) || bad.Line < 1 || bad.Column < 1 {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		again, err := ParseInterface(iface.String())
		if err != nil {
			t.Fatalf("what String wrote does not parse: %v\n%s", err, iface)
		}
		if again.String() != iface.String() {
			t.Fatalf("formatting is not stable:\n%s\n%s", iface, again)
		}
	})
}
