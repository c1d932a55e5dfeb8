package top

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

// colours shows text as a terminal of a profile gets it; escapes are visible in the golden files.
func colours(t *testing.T, p colorprofile.Profile, frame string) string {
	t.Helper()
	var b bytes.Buffer
	w := colorprofile.Writer{Forward: &b, Profile: p}
	if _, err := w.WriteString(frame); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), "\x1b", "␛")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".frame")
	if *update {
		if err := os.WriteFile(file, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err, "; try: go test -update")
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got+"\n", "\n")); d != "" {
		t.Errorf("%s: %s", name, d)
	}
}

// sound checks what holds of every frame: as many lines as the screen has, none too wide, no control character but
// those of our own styles.
func sound(t *testing.T, frame string, width, height int) {
	t.Helper()
	lines := strings.Split(frame, "\n")
	if len(lines) != height {
		t.Errorf("%d lines on a screen of %d", len(lines), height)
	}
	for _, l := range lines {
		if n := ansi.StringWidth(l); n > width {
			t.Errorf("%d columns on a screen of %d: %q", n, width, l)
		}
		if text := ansi.Strip(l); term.Safe(text) != text || strings.Count(l, "\x1b") != strings.Count(l, "\x1b[") {
			t.Errorf("not harmless: %q", l)
		}
	}
}

// busy has a trend.
func busy() []*picture.Picture {
	var list []*picture.Picture
	for i, rate := range []float64{0, 100, 4000, 900, 8000, 12345} {
		p := sample()
		p.Taken = noon.Add(time.Duration(i-5) * time.Second)
		p.Rows[1].Rate = ptr(rate)
		list = append(list, p)
	}
	return list
}

func TestFrames(t *testing.T) {
	type size struct{ width, height int }
	for _, c := range []struct {
		name, keys string
		size       size
	}{
		{"smallest", "", size{20, 5}},
		{"small", "", size{40, 8}},
		{"usual", "", size{80, 24}},
		{"wide", "", size{160, 12}},
		{"widest", "", size{400, 9}},
		{"folded-device", "f<enter><down>", size{100, 12}},
		{"folded-cpu", "fff<enter>", size{100, 12}},
		{"typing", "/demo", size{80, 8}},
		{"filtered", "/demo<enter>", size{80, 8}},
		{"sorted", "S", size{80, 10}},
		{"frozen", " ", size{80, 8}},
		{"help", "?", size{80, 22}},
		{"help-smallest", "?", size{20, 5}},
		{"detail", "<enter>", size{100, 32}},
		{"detail-scrolled", "<enter><down><down>", size{60, 8}},
		{"detail-smallest", "<enter>", size{20, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := start(t, &script{pictures: busy(), about: about()}, c.size.width, c.size.height)
			press(m, c.keys)
			sound(t, m.frame(), c.size.width, c.size.height)
			golden(t, c.name, colours(t, colorprofile.NoTTY, m.frame()))
		})
	}
}

func TestFrameOfASavedMachine(t *testing.T) {
	p := sample()
	p.Daemon, p.Taken = nil, time.Time{}
	for i := range p.Rows {
		p.Rows[i].Rate, p.Rows[i].Hits = nil, nil
	}
	m := start(t, &script{pictures: []*picture.Picture{p}, saved: true}, 80, 12)
	sound(t, m.frame(), 80, 12)
	golden(t, "saved", colours(t, colorprofile.NoTTY, m.frame()))
}

func TestColoursOfEachProfile(t *testing.T) {
	for _, p := range []colorprofile.Profile{colorprofile.Ascii, colorprofile.ANSI, colorprofile.ANSI256, colorprofile.TrueColor} {
		m := start(t, &script{pictures: busy()}, 80, 10)
		got := colours(t, p, m.frame())
		golden(t, "colours-"+p.String(), got)
		if p == colorprofile.Ascii && strings.Contains(got, "[3") { // what NO_COLOR gets
			t.Error("colours without colours")
		}
	}
}

// Any size, any view: the frame fits.
func TestFramesFitEverySize(t *testing.T) {
	for _, keys := range []string{"", "f<enter>", "fff", "/x", "?", "<enter>", "<end>", " "} {
		for _, width := range []int{1, 2, 7, 10, 15, 20, 29, 33, 57, 79, 101, 400} {
			for _, height := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 50} {
				m := start(t, &script{pictures: []*picture.Picture{sample()}, about: about()}, width, height)
				press(m, keys)
				sound(t, m.frame(), width, height)
			}
		}
	}
}

func TestHostileTextIsHarmless(t *testing.T) {
	for name, evil := range map[string]string{
		"escape": "\x1b[2J\x1b]0;owned\x07", "bidi": "abc\u202egnp.exe\u2066", "newline": "a\nb\r\tc", "not UTF-8": "\xff\xfe\x9b31m",
		"long": strings.Repeat("x", 100000), "wide": strings.Repeat("漢字", 300), "marks": "e" + strings.Repeat("\u0301", 5000), "C1": "\u009b2J\u0085",
		"emoji": strings.Repeat("👩‍👩‍👧", 50), "zero": "\x00\u200b\ufeff",
	} {
		t.Run(name, func(t *testing.T) {
			p := sample()
			p.Machine.Kernel = evil
			h := irq.Holder{Kind: irq.HolderProcess, PID: 1, Command: evil, Label: evil, Unit: evil}
			p.Rows[1] = picture.Row{Name: evil, State: irq.State(evil), Device: evil, Driver: evil, Chip: evil, Handlers: []string{evil}, Holders: []irq.Holder{h},
				Aliases: []string{evil}, Rate: ptr(1e9), Reason: evil, Managed: true, CPUs: host.NewCPUSet(0)}
			a := about()
			a.Notes = []string{evil}
			a.Findings[0].Title, a.Findings[0].Meaning, a.Findings[0].Remedies[0].Command = evil, evil, evil
			a.Events[1].Holder.Command, a.Events[1].Refused.Detail, a.Events[0].Detail = evil, evil, evil
			for _, keys := range []string{"", "f<enter>", "<enter>", "<enter><pgdown>"} {
				for _, width := range []int{20, 80, 400} {
					m := start(t, &script{pictures: []*picture.Picture{p}, about: a}, width, 20)
					press(m, keys)
					sound(t, m.frame(), width, 20)
				}
			}
			m := start(t, &script{pictures: []*picture.Picture{p}}, 80, 20)
			m.failure = evil
			sound(t, m.frame(), 80, 20)
		})
	}
}

func TestOnceAndJSONHaveTheColumnsOfTheView(t *testing.T) {
	f := &script{pictures: []*picture.Picture{sample()}, saved: true}
	var text, document bytes.Buffer
	if _, err := Once(t.Context(), f, time.Second, term.Output{Writer: &text, Width: 200}); err != nil {
		t.Fatal(err)
	}
	if err := JSON(t.Context(), f, time.Second, &document); err != nil {
		t.Fatal(err)
	}
	golden(t, "once", strings.TrimSuffix(text.String(), "\n"))
	golden(t, "json", strings.TrimSuffix(document.String(), "\n"))
	for _, c := range columns {
		if c.head != "TREND" && !strings.Contains(document.String(), fmt.Sprintf("%q:", strings.ToLower(c.head))) {
			t.Errorf("--json has no %s", c.head)
		}
	}
}
