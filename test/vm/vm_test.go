package vm

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ivtd/ivt/test/vm/kernels"
)

// kernelsOf returns the kernels that IVT_VM_KERNELS names, or skips the test.
func kernelsOf(t *testing.T) []string {
	t.Helper()
	names := strings.Fields(os.Getenv("IVT_VM_KERNELS"))
	if len(names) == 0 {
		t.Skip(`boots kernels; try: IVT_VM_KERNELS="6.1 6.12 7 own" go test ./test/vm, or: make test-vm`)
	}
	return names
}

// TestKernels runs all VM packages on the kernels that IVT_VM_KERNELS names.
func TestKernels(t *testing.T) {
	p := Printer{Out: os.Stdout, Verbose: testing.Verbose()}
	ok, err := Run(t.Context(), Options{
		Kernels: kernelsOf(t), Packages: []string{"github.com/ivtd/ivt/..."}, Log: os.Stderr,
		Each: func(r Result) {
			if err := p.Print(t.Context(), r); err != nil {
				t.Error(err)
			}
		},
	})
	if err != nil || !ok {
		t.Errorf("on a kernel tests failed: %v", err)
	}
}

// TestFaultsAreNoticed runs, on one kernel, tests that go wrong.
func TestFaultsAreNoticed(t *testing.T) {
	kernel := kernelsOf(t)[0]
	for _, tt := range []struct {
		run     string
		ok      bool
		output  string // of the test
		trouble string // what the harness adds
	}{
		{run: "^TestPasses$", ok: true, output: "PASS"},
		{run: "^TestFails$", output: "--- FAIL: TestFails"},
		{run: "^TestWarns$", output: "PASS", trouble: "WARNING: CPU: 0 PID: 1 at a test"},
		{run: "^TestWarnsAsExpected$", ok: true, output: "PASS"},
		{run: "^TestLeavesAProcess$", output: "left 1 processes running"},
		{run: "^TestPanics$", trouble: "Kernel panic"},
	} {
		t.Run(tt.run, func(t *testing.T) {
			var got []Result
			ok, err := Run(t.Context(), Options{
				Kernels: []string{kernel}, Packages: []string{"./testdata/faulty"}, Run: tt.run, Count: 1,
				Timeout: 5 * time.Second, Log: os.Stderr, Each: func(r Result) { got = append(got, r) },
			})
			if err != nil || len(got) != 1 {
				t.Fatalf("%d results, %v", len(got), err)
			}
			r, trouble := got[0], strings.Join(got[0].Trouble, "\n")
			if ok != tt.ok || r.OK != tt.ok || !strings.Contains(string(r.Output), tt.output) || !strings.Contains(trouble, tt.trouble) {
				t.Errorf("ok %v, output:\n%s\ntrouble:\n%s", r.OK, r.Output, trouble)
			}
		})
	}
}

// TestAPassIsRemembered: the same kernel, binaries and flags are not run twice.
func TestAPassIsRemembered(t *testing.T) {
	kernel := kernelsOf(t)[0]
	cached, err := kernels.DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	run := func(timeout time.Duration) (r Result) {
		_, err := Run(context.Background(), Options{
			Kernels: []string{kernel}, Packages: []string{"./testdata/faulty"}, Run: "^TestPasses$",
			Timeout: timeout, Log: os.Stderr, Cache: cached, Each: func(got Result) { r = got },
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	// A flag that nobody used yet makes a triple that nobody ran yet.
	odd := time.Minute + time.Duration(time.Now().UnixNano()%1e9)
	if r := run(odd); !r.OK || r.Cached {
		t.Errorf("the first run: ok %v, cached %v", r.OK, r.Cached)
	}
	if r := run(odd); !r.OK || !r.Cached {
		t.Errorf("the second run: ok %v, cached %v", r.OK, r.Cached)
	}
	if r := run(odd + 1); r.Cached {
		t.Error("with another flag it is taken from the cache")
	}
}
