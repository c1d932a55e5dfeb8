package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host/hosttest"
	"github.com/ivtd/ivt/internal/term"
)

func TestEveryCheckHasItsPageAndNoOtherPageIsLeft(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "findings")
	pages := map[string]bool{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pages[strings.TrimSuffix(e.Name(), ".md")] = true
	}
	for _, c := range checks {
		text, err := os.ReadFile(filepath.Join(dir, c.id+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		delete(pages, c.id)
		for _, heading := range []string{"# ", "\n## What it looks at", "\n## What it means", "\n## What to do", "\n## When it is silent"} {
			if !strings.Contains(string(text), heading) {
				t.Errorf("%s.md has no %q", c.id, strings.TrimSpace(heading))
			}
		}
	}
	delete(pages, "README")
	for id := range pages {
		t.Errorf("docs/findings/%s.md is of no check", id)
	}
}

func TestEveryFindingOfTheCatalogueHasItsCheck(t *testing.T) {
	ids := map[string]bool{"": true}
	for _, c := range checks {
		if ids[c.id] {
			t.Errorf("%s is there twice", c.id)
		}
		ids[c.id] = true
	}
	for _, m := range explain.Messages() {
		if !ids[m.Finding] {
			t.Errorf("message %s belongs to finding %s, which there is not", m.ID, m.Finding)
		}
	}
}

// ailing has a finding of each severity.
func ailing(t *testing.T) *Report {
	return Examine(scene{tree: healthy + "== sys/bus/pci/devices/0000:05:00.0 class=0x040100 irq=16 numa_node=-1\n", before: healthy, log: nobodyCared + log(
		"[   17.6] genirq: Flags mismatch irq 127. 00002000 (mei_\x1b[2Jme) vs. 00000080 (eth0)",
		"[    0.006140] __common_interrupt: 1.55 No irq handler for vector",
		"[  501.0] CPU 3 has 104 vectors, 99 available. Cannot disable CPU")}.input(t))
}

func TestReportForPeople(t *testing.T) {
	for _, width := range []int{40, 80, 400} {
		var b bytes.Buffer
		if err := ailing(t).WriteText(term.Output{Writer: &b, Width: width, Terminal: true}); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		order := []string{"serious: irq 16 fired", "warning: mei_", "notice: CPU 3", "Good to know, and nothing to do", "Looked at", "Could not see"}
		at := 0
		for _, want := range order {
			flat := strings.Join(strings.Fields(text[at:]), " ")
			if !strings.Contains(flat, want) {
				t.Errorf("width %d: %q is missing or too early", width, want)
			}
		}
		if strings.Contains(text, "\x1b") {
			t.Error("an escape reached the terminal")
		}
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > max(width, 40)+40 && !strings.Contains(line, "$ ") {
				t.Errorf("width %d: a line of %d columns: %s", width, n, line)
			}
		}
	}
}

func TestReportForPrograms(t *testing.T) {
	r := ailing(t)
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Findings) != len(r.Findings) || back.Findings[0].Severity != Serious || back.Findings[0].ID != "nobody-cared" {
		t.Errorf("%s", data)
	}
}

func TestFailOn(t *testing.T) {
	r := ailing(t)
	for _, s := range []Severity{Info, Notice, Warning, Serious} {
		if !r.Reaches(s) {
			t.Errorf("%s is not reached", s)
		}
	}
	well := Examine(scene{tree: healthy, log: healthyLog}.input(t))
	if !well.Reaches(Info) || well.Reaches(Notice) {
		t.Errorf("%v", well.Findings)
	}
	if (&Report{}).Reaches(Info) {
		t.Error("nothing reaches info")
	}
}

func TestRunReadsWhatItIsTold(t *testing.T) {
	root := hosttest.OpenText(t, healthy)
	defer root.Close()
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "dmesg")
	if err := os.WriteFile(file, []byte(nobodyCared), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{"a file": {Log: file}, "standard input": {Log: "-", Stdin: strings.NewReader(nobodyCared)}} {
		r, err := Run(ctx, root, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(found(r, "nobody-cared")) != 1 || r.Log == nil || r.Log.Lines != 6 {
			t.Errorf("%s: %v %+v", name, found(r, "nobody-cared"), r.Log)
		}
	}
	if _, err := Run(ctx, root, Options{Log: file + "-missing"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a log that is not there: %v", err)
	}
	r, err := Run(ctx, root, Options{})
	if err != nil || r.Log != nil {
		t.Errorf("a saved machine has no log: %v %+v", err, r.Log)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Run(cancelled, root, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestKernelLogOfThisMachine(t *testing.T) {
	if _, why := readKmsg(filepath.Join(t.TempDir(), "kmsg")); !strings.HasPrefix(why, "there is no ") {
		t.Errorf("missing: %q", why)
	}
	l, why := readKmsg(kmsgFile)
	if why != "" {
		t.Skipf("%s; try: run the tests as root", why)
	}
	if l.Lines == 0 {
		t.Error("it is empty")
	}
}

// A bare copy of /proc/interrupts, and a file that is none: both are looked at as far as they go.
func TestLittleToSee(t *testing.T) {
	r := Examine(scene{tree: "== proc/interrupts\n           CPU0\n  0:         38  IO-APIC   2-edge      timer\n  1:   \x00\n"}.input(t))
	nothing(t, r)
	if len(r.Unseen) < 5 {
		t.Errorf("%v", r.Unseen)
	}
	r = Examine(scene{tree: "== proc/interrupts\n           CPU0       CPU1\n"}.input(t))
	nothing(t, r)
}

func TestWhatIsNotBelievedIsSaid(t *testing.T) {
	r := Examine(scene{tree: healthy, log: log("Nov 23 07:45:00 host joker: Disabling IRQ #16")}.input(t))
	nothing(t, r)
	var b bytes.Buffer
	if err := r.WriteText(term.Output{Writer: &b, Width: 80}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), "written by programs, not believed: 1") {
		t.Error(b.String())
	}
}
