package explain

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ivtd/ivt/internal/term"
)

// repeated gives the same block of a log n times.
type repeated struct {
	block []byte
	n     int
	left  []byte
}

func (r *repeated) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		if r.n--; r.n < 0 {
			return 0, io.EOF
		}
		r.left = r.block
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// ordinary is what most of a log looks like, and one line that matters.
func ordinary() []byte {
	var b bytes.Buffer
	for i := range 999 {
		fmt.Fprintf(&b, "Nov 23 07:45:%02d host kernel: [%5d.%06d] usb 1-%d: new high-speed USB device number %d using xhci_hcd\n", i%60, i, i, i%8, i)
	}
	b.WriteString("Nov 23 07:45:00 host kernel: [  100.000000] genirq: Flags mismatch irq 16. 00002000 (mei_me) vs. 00000000 (xhci_hcd)\n")
	return b.Bytes()
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// million is how long a long log is here.
var million = 1_000_000

func TestMillionsOfLinesTakeBoundedMemory(t *testing.T) {
	messageFilter()
	before := heap()
	l, err := Collect(&repeated{block: ordinary(), n: million / 1000})
	if err != nil {
		t.Fatal(err)
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("%d kB kept after %d lines", (after-before)>>10, million)
	}
	if l.Lines != int64(million) || len(l.Groups) != 1 || l.Groups[0].Count != int64(million/1000) {
		t.Errorf("%d lines, %d groups", l.Lines, len(l.Groups))
	}
}

// Hostile logs: ever new incidents, one endless line, an export field that claims to be huge.
func TestHostileLogsTakeBoundedMemory(t *testing.T) {
	var many bytes.Buffer
	for i := range 5_000 {
		fmt.Fprintf(&many, "Disabling IRQ #%d\n", i)
	}
	l, err := Collect(&many)
	if err != nil || len(l.Groups) != maxGroups || l.Dropped != 5_000-maxGroups {
		t.Errorf("%d groups, %d dropped, %v", len(l.Groups), l.Dropped, err)
	}
	before := heap()
	if _, err := Collect(&repeated{block: bytes.Repeat([]byte("Flags mismatch irq 1. "), 1000), n: 200}); err != nil {
		t.Error(err)
	}
	huge := append([]byte("__CURSOR=x\nMESSAGE\n"), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)
	if _, err := Collect(io.MultiReader(bytes.NewReader(huge), &repeated{block: make([]byte, 1<<16), n: 100})); err != nil {
		t.Error(err)
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("%d kB kept", (after-before)>>10)
	}
}

func TestAnEndlessReportEnds(t *testing.T) {
	var b strings.Builder
	b.WriteString(bare + "\nhandlers:\n")
	for range 2_000 {
		b.WriteString("[<00000000deadbeef>] handler [module]\n")
	}
	in := scan(t, b.String(), false)[0]
	if len(in.Handlers) > maxHandlers || len(in.Lines) > maxLines {
		t.Errorf("%d handlers, %d lines", len(in.Handlers), len(in.Lines))
	}
}

func TestHostileTextIsShownHarmlessly(t *testing.T) {
	hostile := "genirq: Flags mismatch irq 16. 00002000 (a\x1b]0;title\x07\x1b[2J\u202e\x00{held_by}) vs. 00000000 (b\xff)"
	var b bytes.Buffer
	if err := Explain(term.Output{Writer: &b, Width: 80}, hostile, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\x1b", "\x07", "\u202e", "\x00", "\xff"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("%q reached the terminal", bad)
		}
	}
	for _, width := range []int{0, 40, 400} {
		b.Reset()
		if err := Explain(term.Output{Writer: &b, Width: width, Terminal: true}, hostile, nil, Options{}); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever a pattern matches, the prefilter lets through.
func TestPrefilterMissesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := []string{"irq ", "16", ": ", "nobody cared", "No irq handler for ", "3.37", "Disabling IRQ #", "IRQ", " not free", "request", "cannot ", "failed to ", "error ", "-16", "PCI INT A: ", "no GSI", "\n", "[<00>] x", "handlers:"}
	for _, m := range Messages() {
		words = append(words, strings.Fields(m.Sample)...)
		words = append(words, m.Sample)
	}
	for range 500 {
		var b strings.Builder
		for range 1 + rng.IntN(6) {
			b.WriteString(words[rng.IntN(len(words))])
			if rng.IntN(2) == 0 {
				b.WriteByte(' ')
			}
		}
		checkFilter(t, []byte(b.String()))
	}
}

func checkFilter(t *testing.T, text []byte) {
	possible := messageFilter().candidates(text, nil)
	if !slices.IsSorted(possible) || len(slices.Compact(slices.Clone(possible))) != len(possible) {
		t.Fatalf("%v is not in order, each once", possible)
	}
	for i, m := range Messages() {
		if m.compile().Match(text) && !slices.Contains(possible, uint16(i)) {
			t.Fatalf("%s matches %q, and the prefilter let it drop", m.ID, text)
		}
	}
}

func TestLiteralsOfPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		`irq (\d+): nobody`:    ": nobody",
		`(?:a|b)cdef\d`:        "cdef",
		`foo\d+|barbaz`:        "foo barbaz",
		`\d+`:                  "",
		`x?`:                   " x",
		`(?:abc)+d`:            "abc",
		`(?:abcd)?\d(?:ef|g)h`: "efh gh",
		`[`:                    "",
		`can(?:not|'t) \d+`:    "cannot  can't ",
		`(?:abc){2,3}x\d`:      "abcabcx abcabcabcx",
		`.*`:                   "",
		`^done$`:               "done",
	} {
		if got := strings.Join(literals(pattern), " "); got != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}

func FuzzScanner(f *testing.F) {
	for _, m := range Messages() {
		f.Add([]byte(m.Sample))
	}
	f.Add([]byte(report))
	f.Add([]byte(export("_TRANSPORT=kernel", "MESSAGE="+bare)))
	f.Add([]byte("__CURSOR=x\nMESSAGE\n\x05\x00\x00\x00\x00\x00\x00\x00hello\n\n"))
	f.Add([]byte(`{"MESSAGE":"Disabling IRQ #3"}`))
	f.Add([]byte("3,339,46340000,-,caller=T1;Disabling IRQ #3\n SUBSYSTEM=pci\n"))
	f.Add([]byte("\x1b[31mDisabling IRQ #3\x1b[0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Collect(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := WriteLog(term.Output{Writer: &b, Width: 80}, l); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.String() {
			if r < ' ' && r != '\n' || r == 0x7f {
				t.Fatalf("control character %q in the output", r)
			}
		}
		for line := range bytes.Lines(data) {
			checkFilter(t, ascii(parseEntry(line).Text))
		}
	})
}

// ascii: letters beyond ASCII that fold to ASCII ones (U+212A is a k) are not looked for.
func ascii(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r >= 0x80 {
			return '?'
		}
		return r
	}, text)
}

func FuzzAsk(f *testing.F) {
	for _, s := range []string{"763", "0x2FB", "-16", "EBUSY", "failed with error -28", "irq.ErrBusy", "0x800702FBh", "\x00", "STATUS_"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		a, err := Ask(query)
		if (a == nil) == (err == nil) {
			t.Fatalf("answer %v, error %v", a, err)
		}
		if err != nil && !IsUnknown(err) {
			t.Fatal(err)
		}
	})
}

func BenchmarkCollect(b *testing.B) {
	block := ordinary()
	b.SetBytes(int64(len(block)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Collect(bytes.NewReader(block)); err != nil {
			b.Fatal(err)
		}
	}
}
