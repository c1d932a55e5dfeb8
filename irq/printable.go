package irq

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Printable returns s so that a terminal shows it harmlessly, whoever wrote it: control characters,
// terminal escapes, characters that turn or hide text and bytes that are no UTF-8 become \x1b, \u202e, …
// What is printable stays as it is.
func Printable(s string) string {
	bad := func(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// maxShown is the most of a foreign text that an error shows, in bytes.
const maxShown = 256

// shown is Printable, cut to a bearable length.
func shown(s string) string { return Printable(cut(s)) }

func cut(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}
