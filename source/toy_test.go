//go:build linux

package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A source outside the tree: one file that registers its scheme, in a module of its own. It changes nothing here.
func TestToySourceOutsideTheTree(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program; try: without -short")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command; try: put it into PATH")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copyFile(t, filepath.Join(root, "go.sum"), filepath.Join(dir, "go.sum"))
	for _, name := range []string{"tick.go", "main.go"} {
		copyFile(t, filepath.Join("testdata/toy", name+".txt"), filepath.Join(dir, name))
	}
	mod := "module example.com/toy\n\ngo 1.26.0\n\nrequire github.com/ivtd/ivt v0.0.0\n\nreplace github.com/ivtd/ivt => " + root + "\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o644); err != nil {
		t.Fatal(err)
	}
	run := exec.Command("go", "run", "-mod=mod", ".")
	run.Dir = dir
	run.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=")
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const want = "second: true\ninterrupt 1\ninterrupt 2\ninterrupt 3\n"
	if got := string(out); !strings.HasSuffix(got, want) {
		t.Errorf("it printed\n%swant\n%s", got, want)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
