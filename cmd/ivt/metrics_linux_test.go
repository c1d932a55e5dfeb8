package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReplaceIsAtomic: a reader of ivt metrics --output sees the old file or the new one; what goes wrong leaves the old one and
// nothing beside it.
func TestReplaceIsAtomic(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ivt.prom")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	broken := errors.New("broken")
	if err := replaceFile(name, func(f *os.File) error { f.WriteString("half"); return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	contains(t, name, "old")
	err = replaceFile(name, func(f *os.File) error {
		contains(t, name, "old")
		if strings.HasSuffix(f.Name(), ".prom") {
			t.Errorf("node_exporter would read %s", f.Name())
		}
		_, err := f.WriteString("new")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	contains(t, name, "new")
	var before [8]byte
	if n, _ := reader.Read(before[:]); string(before[:n]) != "old" {
		t.Errorf("who had it open reads %q", before[:n])
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v: node_exporter cannot read it", info.Mode(), err)
	}
	alone(t, name)
	if err := replaceFile("/nonexistent/ivt.prom", nil); err == nil || err.Error() != "write /nonexistent/ivt.prom: no such file or directory" {
		t.Errorf("got %v", err)
	}
}

func TestReplaceOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a small file system: %s; try: as root", out)
	}
	defer exec.Command("umount", dir).Run()
	name := filepath.Join(dir, "ivt.prom")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := replaceFile(name, func(f *os.File) error { _, err := f.WriteString(strings.Repeat("x", 1<<20)); return err })
	if err == nil || err.Error() != "write "+name+": no space left on device" {
		t.Errorf("got %v", err)
	}
	contains(t, name, "old")
	alone(t, name)
}

func contains(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(name); string(got) != want {
		t.Errorf("%s has %q, %v; want %q", name, got, err, want)
	}
}

func alone(t *testing.T, name string) {
	t.Helper()
	if left, err := os.ReadDir(filepath.Dir(name)); len(left) != 1 {
		t.Errorf("beside it there is %v, %v", left, err)
	}
}
