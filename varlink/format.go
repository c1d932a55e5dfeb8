package varlink

import "strings"

// String writes the interface in the usual layout, one field a line and indented by tabs; this is
// also how varlinkctl prints it. Parsing the result gives the same interface. Comments that stood
// neither above a member, a field or a value nor at the end are not kept.
func (i *Interface) String() string {
	var p printer
	p.doc(i.Doc, 0)
	p.WriteString("interface " + i.Name + "\n")
	for _, m := range i.Members {
		p.WriteByte('\n')
		p.member(m)
	}
	if i.Trailer != "" {
		p.WriteByte('\n')
		p.doc(i.Trailer, 0)
	}
	return p.String()
}

// A printer builds the text of an interface.
type printer struct{ strings.Builder }

func (p *printer) member(m Member) {
	p.doc(m.Doc, 0)
	p.WriteString(m.Kind.keyword() + " " + m.Name)
	if m.Kind == MethodMember {
		p.typ(m.In, 0)
		p.WriteString(" -> ")
		p.typ(m.Out, 0)
	} else {
		p.typ(m.Type, 0)
	}
	p.WriteByte('\n')
}

func (p *printer) doc(text string, indent int) {
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		p.indent(indent)
		p.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
}

func (p *printer) indent(n int) { p.WriteString(strings.Repeat("\t", n)) }

func (p *printer) typ(t *Type, indent int) {
	switch t.Kind {
	case Optional:
		p.WriteByte('?')
		p.typ(t.Elem, indent)
	case Array:
		p.WriteString("[]")
		p.typ(t.Elem, indent)
	case Map:
		p.WriteString("[string]")
		p.typ(t.Elem, indent)
	case Struct, Enum:
		p.group(t, indent)
	default:
		p.WriteString(t.describe())
	}
}

func (p *printer) group(t *Type, indent int) {
	separator := "(\n"
	for _, f := range t.Fields {
		p.WriteString(separator)
		p.doc(f.Doc, indent+1)
		p.indent(indent + 1)
		p.WriteString(f.Name + ": ")
		p.typ(f.Type, indent+1)
		separator = ",\n"
	}
	for _, v := range t.Values {
		p.WriteString(separator)
		p.doc(v.Doc, indent+1)
		p.indent(indent + 1)
		p.WriteString(v.Name)
		separator = ",\n"
	}
	if separator == "(\n" {
		p.WriteString("()")
		return
	}
	p.WriteByte('\n')
	p.indent(indent)
	p.WriteByte(')')
}
