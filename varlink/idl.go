package varlink

import "strings"

// An Interface is a parsed interface description, the text that GetInterfaceDescription returns. It
// is immutable once parsed and safe for concurrent use.
type Interface struct {
	Name    string   // reverse domain name, e.g. "org.example.ping"
	Doc     string   // comment above the interface line, without the leading "# "
	Members []Member // in the order of the text
	Trailer string   // comment below the last member

	types, methods, errors map[string]*Member
}

// MemberKind says what a Member declares.
type MemberKind int

// The three kinds of member.
const (
	TypeMember MemberKind = iota
	MethodMember
	ErrorMember
)

// keyword is how the kind is written in a description.
func (k MemberKind) keyword() string {
	return [...]string{"type", "method", "error"}[k]
}

// A Member is one declaration of an interface: a type, a method or an error.
type Member struct {
	Kind MemberKind
	Name string
	Doc  string
	Type *Type // a type's definition, or an error's parameters (a struct); nil for a method
	In   *Type // a method's parameters, a struct; nil otherwise
	Out  *Type // a method's reply, a struct; nil otherwise
}

// Kind is the kind of a Type.
type Kind int

// The kinds of type. Object is any JSON object, Any is any JSON value but null; both are untyped.
const (
	Bool Kind = iota
	Int       // 64 bits, signed
	Float
	String
	Object
	Any
	Array    // []Elem
	Map      // [string]Elem
	Optional // ?Elem: may be null or absent
	Struct   // Fields
	Enum     // Values
	Named    // a type of the same interface, by Name
)

// scalars are the kinds that one word stands for.
var scalars = map[string]Kind{
	"bool": Bool, "int": Int, "float": Float, "string": String, "object": Object, "any": Any,
}

// A Type is the type of a value. Which members are set depends on its Kind.
type Type struct {
	Kind   Kind
	Elem   *Type
	Fields []Field
	Values []Value
	Name   string

	target *Type // what Name stands for, set once the whole text was read
}

// A Field is a member of a struct.
type Field struct {
	Name string
	Doc  string
	Type *Type
}

// A Value is a member of an enumeration.
type Value struct {
	Name string
	Doc  string
}

// Method returns the method of that name, with or without the interface's name before it; nil if
// there is none.
func (i *Interface) Method(name string) *Member { return i.methods[i.short(name)] }

// Error returns the error of that name, with or without the interface's name before it; nil if
// there is none.
func (i *Interface) Error(name string) *Member { return i.errors[i.short(name)] }

// Type returns the type of that name; nil if there is none.
func (i *Interface) Type(name string) *Member { return i.types[name] }

func (i *Interface) short(name string) string {
	if rest, ok := strings.CutPrefix(name, i.Name); ok && strings.HasPrefix(rest, ".") {
		return rest[1:]
	}
	return name
}

// describe names a type in a message: "string", "[]Holder", "one of (edge, level)".
func (t *Type) describe() string {
	switch t.Kind {
	case Array:
		return "[]" + t.Elem.describe()
	case Map:
		return "[string]" + t.Elem.describe()
	case Optional:
		return "?" + t.Elem.describe()
	case Struct:
		return "object"
	case Enum:
		names := make([]string, len(t.Values))
		for i, v := range t.Values {
			names[i] = v.Name
		}
		return "one of (" + strings.Join(names, ", ") + ")"
	case Named:
		return t.Name
	}
	for word, kind := range scalars {
		if kind == t.Kind {
			return word
		}
	}
	return "unknown"
}
