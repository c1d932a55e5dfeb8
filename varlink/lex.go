package varlink

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A SyntaxError says where an interface description is wrong, and why.
type SyntaxError struct {
	Line   int // from 1
	Column int // from 1, in characters
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("varlink: line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// A token is a word or a mark of a description. The zero token is the end of the text.
type token struct {
	text         string
	word         bool
	line, column int
}

func (t token) String() string {
	if t.text == "" {
		return "the end"
	}
	return fmt.Sprintf("%q", t.text)
}

// A lexer splits a description into tokens and sets comments aside.
type lexer struct {
	rest         string
	line, column int
	comments     []string // since they were last taken
}

// next returns the next token.
func (l *lexer) next() (token, error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	tok := token{line: l.line, column: l.column}
	switch n := wordLength(l.rest); {
	case l.rest == "":
		return tok, nil
	case n > 0:
		tok.text, tok.word = l.take(n), true
	case strings.HasPrefix(l.rest, "->"):
		tok.text = l.take(2)
	case strings.ContainsRune("():,?[]", rune(l.rest[0])):
		tok.text = l.take(1)
	default:
		r, _ := utf8.DecodeRuneInString(l.rest)
		return tok, l.errorf("unexpected character %q", r)
	}
	return tok, nil
}

// skip passes over white space and comments.
func (l *lexer) skip() error {
	for l.rest != "" {
		switch l.rest[0] {
		case '\n':
			l.rest = l.rest[1:]
			l.line, l.column = l.line+1, 1
		case ' ', '\t', '\r':
			l.take(1)
		case '#':
			if err := l.comment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// comment sets one comment aside. Control characters are refused: descriptions are shown on terminals.
func (l *lexer) comment() error {
	end := strings.IndexByte(l.rest, '\n')
	if end < 0 {
		end = len(l.rest)
	}
	text := strings.TrimRight(l.rest[:end], "\r")
	for i, r := range text {
		if r < ' ' && r != '\t' || r == 0x7f {
			l.take(i)
			return l.errorf("control character %q in a comment", r)
		}
	}
	l.take(end)
	text = strings.TrimPrefix(text, "#")
	l.comments = append(l.comments, strings.TrimRight(strings.TrimPrefix(text, " "), " \t"))
	return nil
}

// takeComments returns the comments since the last call, as one text.
func (l *lexer) takeComments() string {
	text := strings.Join(l.comments, "\n")
	l.comments = l.comments[:0]
	return text
}

// take consumes n bytes of the current line.
func (l *lexer) take(n int) string {
	text := l.rest[:n]
	l.rest = l.rest[n:]
	l.column += utf8.RuneCountInString(text)
	return text
}

func (l *lexer) errorf(format string, args ...any) error {
	return &SyntaxError{Line: l.line, Column: l.column, Reason: fmt.Sprintf(format, args...)}
}

// wordLength is how many bytes of a name text begins with. A '-' belongs to an interface's name
// unless it begins "->".
func wordLength(text string) int {
	for i := range len(text) {
		c := text[i]
		dash := c == '-' && i > 0 && !strings.HasPrefix(text[i:], "->")
		if !letter(c) && !digit(c) && c != '_' && c != '.' && !dash {
			return i
		}
	}
	return len(text)
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }
