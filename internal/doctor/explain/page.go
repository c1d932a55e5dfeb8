package explain

import (
	"strings"
	"unicode/utf8"

	"github.com/ivtd/ivt/internal/term"
)

// A Page collects text for a terminal or pipe: paragraphs that are wrapped, lists, commands that are not. Package
// doctor writes its report with it too.
type Page struct {
	out   term.Output
	width int
	b     strings.Builder
}

// NewPage returns a page for o, between 40 and 100 columns wide.
func NewPage(o term.Output) *Page { return &Page{out: o, width: min(max(o.Width, 40), 100)} }

// Flush writes the page.
func (p *Page) Flush() error {
	_, err := p.out.Write([]byte(p.b.String()))
	return err
}

// Line writes one line as it is: the caller made strangers' text Safe.
func (p *Page) Line(s string) { p.b.WriteString(s + "\n") }

// Gap writes a blank line.
func (p *Page) Gap() { p.b.WriteByte('\n') }

// Head writes a heading in a style.
func (p *Page) Head(style, text string) {
	for _, line := range wrap(term.Safe(text), p.width) {
		p.Line(p.out.Style(style, line))
	}
}

// Para writes wrapped text, indented.
func (p *Page) Para(indent int, text string) { p.hang(strings.Repeat(" ", indent), indent, text) }

// Item writes wrapped text after a bullet; further lines stand below its text.
func (p *Page) Item(indent int, bullet, text string) {
	p.hang(strings.Repeat(" ", indent)+bullet+" ", indent+utf8.RuneCountInString(bullet)+1, text)
}

// Pair writes a label in a column of its own and wrapped text beside it.
func (p *Page) Pair(indent, column int, label, text string) {
	pad := strings.Repeat(" ", max(1, column-utf8.RuneCountInString(label)))
	p.hang(strings.Repeat(" ", indent)+p.out.Style(term.Bold, term.Safe(label))+pad, indent+max(column, utf8.RuneCountInString(label)+1), text)
}

// Label writes a label alone on its line.
func (p *Page) Label(indent int, label string) {
	p.Line(strings.Repeat(" ", indent) + p.out.Style(term.Bold, term.Safe(label)))
}

// Verbatim writes a line that is never wrapped or cut, so that it can be copied.
func (p *Page) Verbatim(indent int, text string) {
	p.Line(strings.Repeat(" ", indent) + p.out.Style(term.Cyan, term.Safe(text)))
}

// Remedies writes what to do, numbered, with commands and their risks.
func (p *Page) Remedies(indent int, remedies []Remedy) {
	for i, r := range remedies {
		p.Item(indent, string(rune('1'+i%9))+".", r.Do)
		if r.Command != "" {
			p.Verbatim(indent+3, "$ "+r.Command)
		}
		if r.Risk != "" {
			p.Para(indent+3, "Risk: "+r.Risk)
		}
	}
}

func (p *Page) hang(first string, indent int, text string) {
	for i, line := range wrap(term.Safe(text), max(20, p.width-indent)) {
		if i == 0 {
			p.Line(first + line)
		} else {
			p.Line(strings.Repeat(" ", indent) + line)
		}
	}
}

// wrap breaks text at spaces into lines of at most width runes; a longer word stands alone. There is always one line.
func wrap(text string, width int) []string {
	var lines []string
	line, length := "", 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case line == "":
			line, length = word, n
		case length+1+n <= width:
			line, length = line+" "+word, length+1+n
		default:
			lines = append(lines, line)
			line, length = word, n
		}
	}
	return append(lines, line)
}

// Style is the colour of a severity.
func (s Severity) Style() string {
	return [...]string{term.Dim, term.Blue, term.Yellow, term.Red}[min(s, Serious)]
}
