package varlink

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestCheckCall(t *testing.T) {
	iface := MustParseInterface(`interface org.example.check
type Colour (red, green)
method Test(
  b: ?bool, i: ?int, f: ?float, s: ?string, o: ?object, a: ?any, list: ?[]string,
  map: ?[string]int, colour: ?Colour, inner: ?(n: int, more: ?[](c: Colour))
) -> (ok: bool)
error Bad (why: string)`)
	tests := []struct {
		name, parameters string
		path, want       string // of the TypeError; both empty if it is right
	}{
		{"nothing", ``, "", ""},
		{"empty", `{}`, "", ""},
		{"white space", " {\n\t\"b\" : true }\r\n", "", ""},
		{"null for optional", `{"b":null,"list":null}`, "", ""},
		{"all", `{"b":true,"i":-9223372036854775808,"f":1e3,"s":"é\u0000","o":{"x":[1]},"a":[],"list":["a"],"map":{"x":1},"colour":"red","inner":{"n":1,"more":[{"c":"green"}]}}`, "", ""},
		{"an int is a float too", `{"f":1}`, "", ""},
		{"escaped name", `{"\u0062":true}`, "", ""},
		{"unknown member", `{"shared":true}`, "shared", "no such member"},
		{"another case", `{"List":[]}`, "List", "no such member"},
		{"hostile name", `{"\u001b[2J":true}`, `"\x1b[2J"`, "no such member"},
		{"twice", `{"b":true,"b":true}`, "b", "one such member"},
		{"bool", `{"b":1}`, "b", "bool"},
		{"float for int", `{"i":1.0}`, "i", "int of 64 bits"},
		{"int too large", `{"i":9223372036854775808}`, "i", "int of 64 bits"},
		{"string for int", `{"i":"1"}`, "i", "int"},
		{"string for float", `{"f":"1"}`, "f", "float"},
		{"number for string", `{"s":1}`, "s", "string"},
		{"array for object", `{"o":[]}`, "o", "object"},
		{"object for array", `{"list":{}}`, "list", "[]string"},
		{"number in array", `{"list":["a",2]}`, "list[1]", "string"},
		{"null in array", `{"list":[null]}`, "list[0]", "string"},
		{"string in map", `{"map":{"k":"v"}}`, `map["k"]`, "int"},
		{"array for map", `{"map":[]}`, `map`, "[string]int"},
		{"unknown value", `{"colour":"blue"}`, "colour", "one of (red, green)"},
		{"number for value", `{"colour":1}`, "colour", "one of (red, green)"},
		{"missing inside", `{"inner":{}}`, "inner.n", "int"},
		{"null inside", `{"inner":{"n":null}}`, "inner.n", "int"},
		{"deep inside", `{"inner":{"n":1,"more":[{"c":"red"},{"c":"x"}]}}`, "inner.more[1].c", "one of"},
		{"an array", `[]`, "", "object"},
		{"not JSON", `{"b":tr}`, "", "object"},
		{"too deep", `{"a":` + strings.Repeat("[", 1000), "", "object"},
		{"something behind", `{} {}`, "", "object"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := iface.CheckCall("Test", json.RawMessage(test.parameters))
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var bad *TypeError
			if !errors.As(err, &bad) {
				t.Fatalf("error is %v, want a TypeError", err)
			}
			if bad.Path != test.path || !strings.HasPrefix(bad.Want, test.want) {
				t.Errorf("got %v\nwant %s: want %s", bad, test.path, test.want)
			}
		})
	}
}

func TestCheckNames(t *testing.T) {
	iface := MustParseInterface(ping)
	if err := iface.CheckCall("Pong", nil); !errors.Is(err, &Error{Name: ErrorMethodNotFound}) {
		t.Errorf("unknown method: %v", err)
	}
	if err := iface.CheckReply("Pong", nil); !errors.Is(err, &Error{Name: ErrorMethodNotFound}) {
		t.Errorf("reply of an unknown method: %v", err)
	}
	if err := iface.CheckError("Idle", nil); err == nil {
		t.Error("an unknown error passed")
	}
	if err := iface.CheckReply("org.example.ping.Ping", json.RawMessage(`{"pong":"x"}`)); err != nil {
		t.Errorf("reply: %v", err)
	}
	if err := iface.CheckReply("Ping", json.RawMessage(`{}`)); err == nil {
		t.Error("a reply without its parameter passed")
	}
	if err := iface.CheckError("org.example.ping.Busy", json.RawMessage(`{"by":null}`)); err != nil {
		t.Errorf("error: %v", err)
	}
}

func TestCheckManyFields(t *testing.T) {
	var text, value strings.Builder
	text.WriteString("interface a.b\nmethod M(")
	value.WriteString("{")
	for i := range 100 {
		if i > 0 {
			text.WriteString(", ")
			value.WriteString(",")
		}
		name := "f" + strings.Repeat("x", i)
		text.WriteString(name + ": int")
		value.WriteString(`"` + name + `":1`)
	}
	iface := MustParseInterface(text.String() + ") -> ()")
	if err := iface.CheckCall("M", json.RawMessage(value.String()+"}")); err != nil {
		t.Error(err)
	}
	if err := iface.CheckCall("M", json.RawMessage(value.String()+`,"f`+strings.Repeat("x", 99)+`":1}`)); err == nil {
		t.Error("the hundredth field passed twice")
	}
}

// A check builds no values, so a stranger's parameters cost their length and nothing more.
func TestCheckAllocatesNothing(t *testing.T) {
	iface := MustParseInterface(ping)
	parameters := json.RawMessage(`{"vectors":["soft:demo/3","soft:demo/4"],"shared":null,"colour":"red"}`)
	if n := testing.AllocsPerRun(100, func() {
		if err := iface.CheckCall("Connect", parameters); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
