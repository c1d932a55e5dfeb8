package term

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSafeShowsWhatWouldAct(t *testing.T) {
	for in, want := range map[string]string{
		"eth0-rx-3":             "eth0-rx-3",
		"größe 漢字":              "größe 漢字",
		"a\x1b[31mred\x1b[0m":   `a\x1b[31mred\x1b[0m`,
		"a\nb\r\t\x00\x7f":      `a\nb\r\t\x00\x7f`,
		"\u202Eevil\u2069":      `\u202eevil\u2069`,
		"zero\u200bwidth\ufeff": `zero\u200bwidth\ufeff`,
		"bad\xff\xfeutf8":       `bad\xff\xfeutf8`,
		"real \uFFFD stays":     "real \uFFFD stays",
		"\u009b31m":             `\u009b31m`,
	} {
		if got := Safe(in); got != want {
			t.Errorf("Safe(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSafe(f *testing.F) {
	f.Add("a\x1b]0;title\x07")
	f.Fuzz(func(t *testing.T, s string) {
		got := Safe(s)
		if !utf8.ValidString(got) || !harmless(got) || Safe(got) != got {
			t.Errorf("Safe(%q) = %q", s, got)
		}
	})
}

func TestTableFitsTheTerminalAndCutsNothingInAPipe(t *testing.T) {
	table := Table{Columns: []Column{{Head: "IRQ", Right: true, Fixed: true}, {Head: "HOLDER"}, {Head: "EMPTY"}}}
	table.Row("7", strings.Repeat("x", 100))
	var b bytes.Buffer
	if err := table.Write(Output{Writer: &b, Terminal: true, Width: 40}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 40 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if strings.Contains(b.String(), "EMPTY") {
		t.Error("a column without a cell is shown")
	}
	b.Reset()
	if err := table.Write(Output{Writer: &b, Width: 40}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), strings.Repeat("x", 100)) {
		t.Errorf("cut in a pipe: %s", &b)
	}
}
