package cpio_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ivtd/ivt/test/vm/cpio"
)

func TestUnpacksWithGNUCpio(t *testing.T) {
	tool, err := exec.LookPath("cpio")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no cpio; try: apt-get install cpio")
		}
		t.Skip("no cpio; try: apt-get install cpio")
	}
	var archive bytes.Buffer
	if err := sample(t).Emit(&archive); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(tool, "-idm", "--quiet")
	cmd.Dir, cmd.Stdin = dir, &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v\n%s", err, out)
	}
	for name, want := range map[string]string{"init": "#!", "etc/deep/er/odd": "abc", "lib/here": "x"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "bin")); err != nil || target != "usr/bin" {
		t.Errorf("bin: link to %q, %v", target, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "init")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("init: %v, %v; want mode 755", info, err)
	}
}

func TestSameFilesSameBytes(t *testing.T) {
	var one, two bytes.Buffer
	if err := sample(t).Emit(&one); err != nil {
		t.Fatal(err)
	}
	if err := sample(t).Emit(&two); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two archives of the same files differ")
	}
}

func TestMissingFile(t *testing.T) {
	if err := cpio.New().Copy("a", filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing file was added")
	}
}

func sample(t *testing.T) *cpio.Archive {
	tree := t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "here"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := cpio.New()
	a.File("init", 0o755, []byte("#!"))
	a.File("/etc/deep/er/odd", 0o644, []byte("abc"))
	a.Link("bin", "usr/bin")
	a.Dir("proc")
	if err := a.Tree("lib", tree); err != nil {
		t.Fatal(err)
	}
	return a
}
