package vectormap

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/term"
)

var update = flag.Bool("update", false, "write testdata/*.txt anew")

// small is a map with one of everything, and a handler with a hostile name.
func small() *Map {
	m := wantMachine()
	m.Method = MethodKcore
	m.Blind = []Blind{explain(MethodDebugfs, fs.ErrNotExist, nil)}
	m.IRQ(4).Actions = "ttyS0"
	m.IRQ(24).Actions = "evil\x1b[2J\u202e"
	return m
}

// large has 288 CPUs that are filled unevenly, one of them full, eight offline.
func large(method Method) *Map {
	m := &Map{Method: method, Passes: 2, Global: Global{Online: 280, First: 0x20, End: 0xeb, System: []int{0x80}}}
	for i := range 288 {
		c := CPU{Number: i, Online: i < 280, Allocated: i * 37 % 203}
		if c.Available = 202 - c.Allocated; method == MethodInference {
			c = CPU{Number: i, Online: i < 280, Allocated: i * 7 % 13, Available: Unknown, Managed: Unknown, ManagedAllocated: Unknown}
		}
		m.CPUs = append(m.CPUs, c)
	}
	return m
}

// even has 288 CPUs in two groups.
func even() *Map {
	m := &Map{Method: MethodBPF, Passes: 3, Global: Global{Online: 288, First: 0x20, End: 0xeb}}
	for i := range 288 {
		c := CPU{Number: i, Online: true, Available: 200, Allocated: 2}
		if i >= 144 {
			c = CPU{Number: i, Online: true, Available: 190, Allocated: 8, Managed: 6, ManagedAllocated: 2}
		}
		m.CPUs = append(m.CPUs, c)
	}
	return m
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		name  string
		m     *Map
		width int
		style Style
	}{
		{"small", small(), 80, Style{}},
		{"small-40", small(), 40, Style{}},
		{"small-one-cpu", small(), 80, Style{CPUs: []int{1}}},
		{"large", large(MethodKcore), 80, Style{}},
		{"large-40", large(MethodKcore), 40, Style{}},
		{"large-400", large(MethodKcore), 400, Style{}},
		{"large-inferred", large(MethodInference), 80, Style{}},
		{"even", even(), 80, Style{}},
	} {
		var b strings.Builder
		if err := c.m.Write(term.Output{Writer: &b, Width: c.width, Terminal: true}, c.style); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		for line := range strings.Lines(got) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > c.width {
				t.Errorf("%s: %d columns: %q", c.name, n, line)
			}
		}
		if strings.ContainsAny(got, "\x1b\u202e") {
			t.Errorf("%s: a handler's name reaches the terminal as it is", c.name)
		}
		file := filepath.Join("testdata", c.name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
