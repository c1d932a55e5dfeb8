package explain

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/codes.md and docs/kernel-log.md anew")

func TestDocsAreUpToDate(t *testing.T) {
	for name, text := range map[string]string{"codes.md": codesPage(), "kernel-log.md": logPage()} {
		path := filepath.Join("..", "..", "..", "docs", name)
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, []byte(text)) {
			t.Errorf("docs/%s does not say what the catalogue says; try: go test ./internal/doctor/explain -run Docs -update", name)
		}
	}
}

const generated = "<!-- Generated from internal/doctor/explain/%s by go test ./internal/doctor/explain -run Docs -update -->\n\n"

// cell makes text fit a cell of a table.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s) }

func code(s string) string { return "`" + strings.ReplaceAll(s, "|", `\|`) + "`" }

func codesPage() string {
	var b strings.Builder
	fmt.Fprintf(&b, generated, "codes.toml")
	b.WriteString("# Codes\n\n`ivt explain CODE` prints any of these, by number, hex, HRESULT, NTSTATUS, name or errno, with what was refused lately on the machine. [763](763.md) has a page of its own.\n\n## What ivt returns\n\n| code | hex | HRESULT | name | Go | errno | exit | means |\n|---|---|---|---|---|---|---|---|\n")
	for _, c := range Codes() {
		if c.Go != "" {
			fmt.Fprintf(&b, "| [%d](#%s) | 0x%X | 0x%08X | %s | `irq.%s` | %s | %d | %s |\n", c.Number, anchor(c), c.Number, c.HRESULT(), c.Name, c.Go, c.Errno, c.Exit, cell(c.Meaning))
		}
	}
	b.WriteString("\n## What is related\n\n| number | name | kind | means |\n|---|---|---|---|\n")
	for _, c := range Codes() {
		if c.Go == "" {
			number := fmt.Sprint(c.Number)
			if c.Kind == "ntstatus" {
				number = fmt.Sprintf("0x%08X", c.Number)
			}
			fmt.Fprintf(&b, "| %s | [%s](#%s) | %s | %s |\n", number, c.Name, anchor(c), c.Kind, cell(c.Meaning))
		}
	}
	for _, c := range Codes() {
		codeSection(&b, c)
	}
	return b.String()
}

func anchor(c *Code) string { return strings.ToLower(c.Name) }

func codeSection(b *strings.Builder, c *Code) {
	fmt.Fprintf(b, "\n## %s\n\n%s: “%s”\n\n%s\n", c.Name, codeHeading(c), c.Text, c.Meaning)
	for _, t := range c.Twins {
		fmt.Fprintf(b, "\nNTSTATUS `0x%08X` %s (%s severity)", t.Value, t.Name, t.Severity())
		if t.Note != "" {
			fmt.Fprintf(b, ": %s", t.Note)
		}
		b.WriteString("\n")
	}
	for _, s := range []struct {
		title string
		items []string
	}{{"Details", c.Details}, {"Arises", c.Arises}, {"How to read it", c.Reading}, {"If it is ignored", c.Ignored}} {
		list(b, s.title, s.items)
	}
	remedies(b, c.Resolve)
	list(b, "On other systems", c.Elsewhere)
	if len(c.Related) > 0 {
		b.WriteString("\nRelated: ")
		for i, name := range c.Related {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(b, "[%s](#%s)", name, strings.ToLower(name))
		}
		b.WriteString("\n")
	}
}

func list(b *strings.Builder, title string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "\n**%s**\n\n", title)
	for _, item := range items {
		fmt.Fprintf(b, "- %s\n", item)
	}
}

func remedies(b *strings.Builder, all []Remedy) {
	if len(all) == 0 {
		return
	}
	b.WriteString("\n**What to do**\n\n")
	for i, r := range all {
		fmt.Fprintf(b, "%d. %s", i+1, r.Do)
		if r.Command != "" {
			fmt.Fprintf(b, " `%s`", r.Command)
		}
		if r.Risk != "" {
			fmt.Fprintf(b, " *Risk: %s*", r.Risk)
		}
		b.WriteString("\n")
	}
}

func logPage() string {
	var b strings.Builder
	fmt.Fprintf(&b, generated, "messages.toml")
	b.WriteString("# Kernel log messages about interrupts\n\n`ivt explain 'LINE'` takes one apart, `ivt explain -` a whole log on standard input (dmesg, /dev/kmsg, syslog, journalctl in its forms, also `-o export` and `-o json`), `ivt doctor --log FILE` says what they add up to.\n\nReleases: `5.4` is where the message appeared; `4.9..5.10` means that 4.9 does not have it yet and 5.10 does; `<=3.6` that 3.6 has it and older kernels were not looked at. No end means that the newest kernels have it.\n\n| message | written by | since | until | severity | finding |\n|---|---|---|---|---|---|\n")
	for _, m := range Messages() {
		finding := ""
		if m.Finding != "" {
			finding = fmt.Sprintf("[%s](findings/%s.md)", m.Finding, m.Finding)
		}
		fmt.Fprintf(&b, "| [%s](#%s) | `%s`, %s | %s | %s | %s | %s |\n", m.ID, m.ID, m.Function, cell(m.File), cell(m.Since), cell(m.Until), m.Severity, finding)
	}
	for _, m := range Messages() {
		fmt.Fprintf(&b, "\n## %s\n\n```\n%s\n```\n\n%s %s\n\nPattern: %s\n", m.ID, m.Sample, cell(sentence(m.Title)), cell(m.Meaning), code(m.Pattern))
		list(&b, "Causes", m.Causes)
		remedies(&b, m.Resolve)
	}
	return b.String()
}

func sentence(s string) string { return strings.TrimSuffix(s, ".") + "." }
