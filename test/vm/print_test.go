package vm

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrintsWhatGoTestWould(t *testing.T) {
	passed := Result{Package: "p", Kernel: "6.1", Release: "6.1.0-50", OK: true, Seconds: 1.5, Output: []byte("PASS\n")}
	cached := passed
	cached.Cached = true
	failed := Result{Package: "p", Release: "6.1.0-50", Seconds: 2, Output: []byte("--- FAIL: TestX (0.1s)\n    x_test.go:1: no\nFAIL\n")}
	verbose := failed
	verbose.Output = []byte("=== RUN   TestA\n--- PASS: TestA (0.0s)\n=== RUN   TestX\n    x_test.go:1: no\n--- FAIL: TestX (0.1s)\n    --- SKIP: TestX/a (0.0s)\n    --- FAIL: TestX/b (0.0s)\nFAIL\n")
	noted := passed
	noted.Trouble = []string{"note: a stall"}
	faulty := Result{Package: "p", Release: "6.1.0-50", Output: []byte("PASS\n"), Trouble: []string{"the kernel reported a fault:", "Oops\x1b[31m"}}
	for _, tt := range []struct {
		name    string
		printer Printer
		result  Result
		want    string
	}{
		{"ok", Printer{}, passed, "ok  \tp [linux 6.1.0-50]\t1.500s\n"},
		{"verbose", Printer{Verbose: true}, passed, "PASS\nok  \tp [linux 6.1.0-50]\t1.500s\n"},
		{"streamed", Printer{Verbose: true, Streamed: true}, passed, "ok  \tp [linux 6.1.0-50]\t1.500s\n"},
		{"cached", Printer{}, cached, "ok  \tp [linux 6.1.0-50]\t(cached)\n"},
		{"cached, verbose", Printer{Verbose: true, Streamed: true}, cached, "PASS\nok  \tp [linux 6.1.0-50]\t(cached)\n"},
		{"failed", Printer{}, failed, "--- FAIL: TestX (0.1s)\n    x_test.go:1: no\nFAIL\nFAIL\tp [linux 6.1.0-50]\t2.000s\n"},
		{"failed, of a verbose run", Printer{}, verbose,
			"    x_test.go:1: no\n--- FAIL: TestX (0.1s)\n    --- FAIL: TestX/b (0.0s)\nFAIL\nFAIL\tp [linux 6.1.0-50]\t2.000s\n"},
		{"failed, verbose", Printer{Verbose: true}, verbose, string(verbose.Output) + "FAIL\tp [linux 6.1.0-50]\t2.000s\n"},
		{"a note", Printer{}, noted, "    vm: note: a stall\nok  \tp [linux 6.1.0-50]\t1.500s\n"},
		{"kernel fault", Printer{}, faulty, "PASS\n--- FAIL: VM linux 6.1.0-50\n    vm: the kernel reported a fault:\n    vm: Oops·[31m\nFAIL\tp [linux 6.1.0-50]\t0.000s\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			tt.printer.Out = &b
			if err := tt.printer.Print(context.Background(), tt.result); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPrintsJSON(t *testing.T) {
	var b strings.Builder
	p := Printer{Out: &b, JSON: true}
	r := Result{Package: "p", Kernel: "6.1", OK: true, Output: []byte("=== RUN   TestX\n--- PASS: TestX (0.00s)\nPASS\n")}
	if err := p.Print(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	if want := `"Package":"p[6.1]","Test":"TestX"`; !strings.Contains(b.String(), want) {
		t.Errorf("no %s in\n%s", want, b.String())
	}
}
