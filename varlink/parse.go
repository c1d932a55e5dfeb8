package varlink

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// typeNesting bounds how deeply types may be nested, so that hostile text cannot exhaust the stack.
const typeNesting = 64

// The names that the grammar allows.
var (
	interfaceName = form(`^[A-Za-z](-*[A-Za-z0-9])*(\.[A-Za-z0-9](-*[A-Za-z0-9])*)+$`)
	memberName    = form(`^[A-Z][A-Za-z0-9]*$`)
	fieldName     = form(`^[A-Za-z](_?[A-Za-z0-9])*$`)
)

// form compiles an expression when it is first used: a client parses no interface.
func form(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// ParseInterface reads an interface description. The error is a *SyntaxError.
func ParseInterface(text string) (*Interface, error) {
	p := &parser{
		lexer: lexer{rest: text, line: 1, column: 1},
		iface: &Interface{
			types:   map[string]*Member{},
			methods: map[string]*Member{},
			errors:  map[string]*Member{},
		},
	}
	if !utf8.ValidString(text) {
		return nil, p.errorf("the text is not valid UTF-8")
	}
	if err := p.parse(); err != nil {
		return nil, err
	}
	return p.iface, nil
}

// MustParseInterface is ParseInterface for descriptions that are part of the program. It panics on
// an error.
func MustParseInterface(text string) *Interface {
	i, err := ParseInterface(text)
	if err != nil {
		panic(err)
	}
	return i
}

// A parser is a recursive descent over the tokens, one ahead.
type parser struct {
	lexer
	token token // the next one
	depth int
	iface *Interface
	named []reference // uses of types, looked up at the end
}

// A reference is where a type was named.
type reference struct {
	to *Type
	at token
}

func (p *parser) parse() error {
	if err := p.advance(); err != nil {
		return err
	}
	if err := p.header(); err != nil {
		return err
	}
	for p.token.text != "" {
		if err := p.member(); err != nil {
			return err
		}
	}
	p.iface.Trailer = p.takeComments()
	p.index()
	return p.resolve()
}

// advance moves to the next token.
func (p *parser) advance() error {
	var err error
	p.token, err = p.next()
	return err
}

// expect consumes one given mark or word.
func (p *parser) expect(text string) error {
	if p.token.text != text {
		return p.failf(p.token, "expected %q, found %s", text, p.token)
	}
	return p.advance()
}

// name consumes a word of one of the grammar's forms.
func (p *parser) name(form func() *regexp.Regexp, what string) (token, error) {
	tok := p.token
	if !tok.word || !form().MatchString(tok.text) {
		return tok, p.failf(tok, "expected %s, found %s", what, tok)
	}
	return tok, p.advance()
}

func (p *parser) failf(at token, format string, args ...any) error {
	return &SyntaxError{Line: at.line, Column: at.column, Reason: fmt.Sprintf(format, args...)}
}

func (p *parser) header() error {
	p.iface.Doc = p.takeComments()
	if err := p.expect("interface"); err != nil {
		return err
	}
	tok, err := p.name(interfaceName, "the interface's name, such as org.example.ping")
	p.iface.Name = tok.text
	return err
}

func (p *parser) member() error {
	m := Member{Doc: p.takeComments()}
	keyword := p.token
	switch keyword.text {
	case "type":
		m.Kind = TypeMember
	case "method":
		m.Kind = MethodMember
	case "error":
		m.Kind = ErrorMember
	default:
		return p.failf(keyword, "expected type, method or error, found %s", keyword)
	}
	if err := p.advance(); err != nil {
		return err
	}
	name, err := p.name(memberName, "a name that begins with a capital letter")
	if err != nil {
		return err
	}
	m.Name = name.text
	if p.declared(m.Name) {
		return p.failf(name, "%s is declared twice", m.Name)
	}
	if err := p.body(&m); err != nil {
		return err
	}
	p.iface.Members = append(p.iface.Members, m)
	return nil
}

// declared looks through the few members; all kinds share one set of names.
func (p *parser) declared(name string) bool {
	return p.iface.types[name] != nil || p.iface.methods[name] != nil || p.iface.errors[name] != nil
}

func (p *parser) body(m *Member) (err error) {
	switch m.Kind {
	case TypeMember:
		p.iface.types[m.Name] = m
		m.Type, err = p.group()
	case ErrorMember:
		p.iface.errors[m.Name] = m
		m.Type, err = p.structure()
	case MethodMember:
		p.iface.methods[m.Name] = m
		if m.In, err = p.structure(); err != nil {
			return err
		}
		if err = p.expect("->"); err != nil {
			return err
		}
		m.Out, err = p.structure()
	}
	return err
}

// structure is a group that has to be a struct.
func (p *parser) structure() (*Type, error) {
	at := p.token
	t, err := p.group()
	if err == nil && t.Kind != Struct {
		return nil, p.failf(at, "parameters need types, this is an enumeration")
	}
	return t, err
}

// group reads what stands in parentheses: a struct, or an enumeration if its names have no types.
func (p *parser) group() (*Type, error) {
	if p.depth++; p.depth > typeNesting {
		return nil, p.failf(p.token, "types are nested more than %d deep", typeNesting)
	}
	defer func() { p.depth-- }()
	if err := p.expect("("); err != nil {
		return nil, err
	}
	t := &Type{Kind: Struct}
	if p.token.text == ")" {
		return t, p.close()
	}
	seen := map[string]bool{}
	for {
		if err := p.element(t, seen); err != nil {
			return nil, err
		}
		if p.token.text != "," {
			return t, p.close()
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
}

// close ends a group. A comment before the parenthesis belongs to nothing that has a place for it.
func (p *parser) close() error {
	p.takeComments()
	return p.expect(")")
}

// element reads one field or one value; the first decides which of the two the group has.
func (p *parser) element(t *Type, seen map[string]bool) error {
	doc := p.takeComments()
	name, err := p.name(fieldName, "a name")
	if err != nil {
		return err
	}
	if seen[name.text] {
		return p.failf(name, "%s is there twice", name.text)
	}
	if len(seen) == 0 && p.token.text != ":" {
		t.Kind = Enum
	}
	seen[name.text] = true
	if t.Kind == Enum {
		t.Values = append(t.Values, Value{Name: name.text, Doc: doc})
		return nil
	}
	if err := p.expect(":"); err != nil {
		return err
	}
	typ, err := p.typ()
	t.Fields = append(t.Fields, Field{Name: name.text, Doc: doc, Type: typ})
	return err
}

// typ reads a type with what stands before it.
func (p *parser) typ() (*Type, error) {
	if p.depth++; p.depth > typeNesting {
		return nil, p.failf(p.token, "types are nested more than %d deep", typeNesting)
	}
	defer func() { p.depth-- }()
	at := p.token
	switch at.text {
	case "(":
		return p.group()
	case "?":
		t, err := p.wrap(Optional)
		if err == nil && t.Elem.Kind == Optional {
			return nil, p.failf(at, "a type is optional once, not twice")
		}
		return t, err
	case "[":
		return p.list()
	}
	return p.word()
}

// wrap reads a type whose prefix has just been seen.
func (p *parser) wrap(kind Kind) (*Type, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	elem, err := p.typ()
	return &Type{Kind: kind, Elem: elem}, err
}

func (p *parser) list() (*Type, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	kind := Array
	if p.token.text == "string" {
		kind = Map
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	if p.token.text != "]" {
		return nil, p.failf(p.token, `expected "]", found %s: lists are []type, maps [string]type`, p.token)
	}
	return p.wrap(kind)
}

func (p *parser) word() (*Type, error) {
	tok := p.token
	if kind, ok := scalars[tok.text]; ok {
		return &Type{Kind: kind}, p.advance()
	}
	if _, err := p.name(memberName, "a type"); err != nil {
		return nil, err
	}
	t := &Type{Kind: Named, Name: tok.text}
	p.named = append(p.named, reference{t, tok})
	return t, nil
}

// index points the names at the members where they finally are.
func (p *parser) index() {
	for i := range p.iface.Members {
		m := &p.iface.Members[i]
		switch m.Kind {
		case TypeMember:
			p.iface.types[m.Name] = m
		case MethodMember:
			p.iface.methods[m.Name] = m
		case ErrorMember:
			p.iface.errors[m.Name] = m
		}
	}
}

// resolve finds what each named type is. Types may be used before they are declared.
func (p *parser) resolve() error {
	for _, ref := range p.named {
		m := p.iface.types[ref.to.Name]
		if m == nil {
			return p.failf(ref.at, "no type %s is declared", ref.to.Name)
		}
		ref.to.target = m.Type
	}
	return nil
}

// splitMethod splits "org.example.ping.Ping" into the interface and the method.
func splitMethod(full string) (iface, method string, ok bool) {
	dot := strings.LastIndexByte(full, '.')
	if dot <= 0 || dot == len(full)-1 {
		return "", "", false
	}
	return full[:dot], full[dot+1:], true
}
