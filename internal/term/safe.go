package term

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Safe returns s so that showing it does nothing but show it: control characters, terminal escapes, bidirectional
// overrides, invisible characters and bytes that are no UTF-8 become visible escapes. Harmless text is returned as it is.
func Safe(s string) string {
	if harmless(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && s[i] >= utf8.RuneSelf && !strings.HasPrefix(s[i:], "\uFFFD"):
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		case dangerous(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Clip is Safe, cut to at most n columns with "…" at the end (one rune counts as one column).
func Clip(s string, n int) string {
	s = Safe(s)
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	if n < 1 {
		return ""
	}
	at := 0
	for range n - 1 {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return s[:at] + "…"
}

func harmless(s string) bool {
	if printable(s) {
		return true
	}
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if dangerous(r) {
			return false
		}
	}
	return true
}

// printable reports whether s is of ASCII's visible characters and blanks alone, as nearly all that is shown.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func dangerous(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
}
