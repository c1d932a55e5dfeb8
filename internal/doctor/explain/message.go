package explain

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A Message is what messages.toml says of one kind of line in the kernel log.
type Message struct {
	ID        string   `toml:"id" json:"id"`
	Pattern   string   `toml:"pattern" json:"-"`
	Function  string   `toml:"function" json:"function,omitempty"` // of the kernel, that writes it
	File      string   `toml:"file" json:"file,omitempty"`
	Since     string   `toml:"since" json:"since,omitempty"` // "5.4"; "4.9..5.10": not in 4.9, in 5.10; "<=3.6": older ones unknown
	Until     string   `toml:"until" json:"until,omitempty"` // the same; "" if the newest known kernels have it
	Severity  Severity `toml:"severity" json:"severity"`
	Finding   string   `toml:"finding" json:"finding,omitempty"` // of package doctor; "" if it says nothing of it
	Continues []string `toml:"continues" json:"-"`               // messages that it may follow and then belongs to
	OnlyAfter bool     `toml:"only_after" json:"-"`              // it means nothing alone
	Title     string   `toml:"title" json:"-"`                   // {name} stands for a field
	Meaning   string   `toml:"meaning" json:"meaning,omitempty"` // likewise
	Causes    []string `toml:"causes" json:"causes,omitempty"`   // likewise
	Resolve   []Remedy `toml:"resolve" json:"resolve,omitempty"` // likewise
	Sample    string   `toml:"sample" json:"-"`

	compile func() *regexp.Regexp
}

//go:embed messages.toml
var messagesTOML []byte

var loadMessages = sync.OnceValue(func() []*Message {
	var file struct {
		Message []*Message `toml:"message"`
	}
	mustDecode("messages.toml", messagesTOML, &file)
	for _, m := range file.Message {
		m.compile = pattern(m.Pattern)
	}
	return file.Message
})

// Messages returns the catalogue of log messages in its order. They must not be changed.
func Messages() []*Message { return loadMessages() }

// FindMessage returns the message with this id, nil if there is none.
func FindMessage(id string) *Message {
	i := slices.IndexFunc(Messages(), func(m *Message) bool { return m.ID == id })
	if i < 0 {
		return nil
	}
	return Messages()[i]
}

// WrittenBy says who wrote the line and which kernels have it: "__setup_irq() in kernel/irq/manage.c, since 3.6 or earlier".
func (m *Message) WrittenBy() string {
	var b strings.Builder
	b.WriteString(m.Function)
	if m.File != "" {
		b.WriteString(" in " + m.File)
	}
	if m.Since != "" {
		b.WriteString(", since " + release(m.Since))
	}
	if m.Until != "" {
		b.WriteString(", until " + release(m.Until))
	}
	return b.String()
}

// release says a version range of the catalogue in words.
func release(s string) string {
	if from, to, ok := strings.Cut(s, ".."); ok {
		return "a release between " + from + " and " + to
	}
	if v, ok := strings.CutPrefix(s, "<="); ok {
		return v + " or earlier"
	}
	return s
}

// A Field is one named part of a line.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Means string `json:"means,omitempty"` // IRQF_SHARED | IRQF_TRIGGER_HIGH; "" if the value says it all
}

// match takes a line apart. ok is false if it is another message.
func (m *Message) match(text []byte) (fields []Field, ok bool) {
	re := m.compile()
	at := re.FindSubmatchIndex(text)
	if at == nil {
		return nil, false
	}
	for i, name := range re.SubexpNames() {
		if name == "" || at[2*i] < 0 {
			continue
		}
		value := string(text[at[2*i]:at[2*i+1]])
		fields = append(fields, Field{baseName(name), value, gloss(name, value)})
	}
	return fields, true
}

// baseName drops the number that makes the same name unique in the branches of a pattern: cpu2 is cpu.
func baseName(name string) string { return strings.TrimRight(name, "0123456789") }

// expand puts the fields' values for {name}. What the line did not say is "?".
func expand(text string, fields []Field) string {
	return expandWith(text, fields, func(f Field) string {
		if f.Means != "" && !spelledOut[f.Name] {
			return f.Means
		}
		return strings.TrimSpace(f.Value)
	}, func(name string) string { return firstOf(unsaid[name], "?") })
}

// expandCommand is expand for a command that somebody may copy into a shell: values are one word each.
func expandCommand(text string, fields []Field) string {
	return expandWith(text, fields, func(f Field) string { return ShellWord(strings.TrimSpace(f.Value)) }, strings.ToUpper)
}

func expandWith(text string, fields []Field, show func(Field) string, missing func(name string) string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return placeholder().ReplaceAllStringFunc(text, func(p string) string {
		name := p[1 : len(p)-1]
		for _, f := range fields {
			if f.Name == name {
				return show(f)
			}
		}
		return missing(name)
	})
}

// pattern compiles an expression when it is first used: most programs that have this package linked never do.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

var placeholder = pattern(`\{[a-z_]+\}`)

// spelledOut are the fields that stand as they are in a sentence even if they have a meaning.
var spelledOut = map[string]bool{"vector": true, "vector_hex": true, "cpu": true, "irq": true, "new_flags": true, "old_flags": true}

// unsaid are the words for what a line may leave out.
var unsaid = map[string]string{"device": "a device", "driver": "a driver", "interface": "an interface", "link": "an ACPI link", "wanted": "the wanted number"}
