//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// confined is what a confined process reports of what it may do; TestMain runs it.
func confined() {
	if err := Confine(map[string]Access{"/proc": MayRead, os.Getenv("IVT_TEST_LEFT"): MayRead | MayWrite | MayMake, "/nowhere": MayRead}); err != nil {
		fmt.Println("confine:", err)
		return
	}
	try := func(what string, err error) { fmt.Println(what, err == nil, errors.Is(err, fs.ErrPermission)) }
	read := func(path string) error { _, err := os.ReadFile(path); return err }
	try("own", read("/proc/self/status"))
	try("left", os.WriteFile(os.Getenv("IVT_TEST_LEFT")+"/file", nil, 0o600))
	try("else", read(os.Getenv("IVT_TEST_ELSE")))
	try("execute", exec.Command("/proc/self/exe").Run())
	_, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", os.Getpid()))
	try("own descriptors", err)
	_, err = os.Readlink(fmt.Sprintf("/proc/%d/fd/0", os.Getppid()))
	try("others' descriptors", err)
	try("others' stat", read(fmt.Sprintf("/proc/%d/stat", os.Getppid())))
}

// TestConfine: what is left is left, and nothing else, on whichever thread. And the price: who has a device open can no longer be seen,
// whatever rules there are; so ivtd confines itself only where it cannot see that anyway.
func TestConfine(t *testing.T) {
	elsewhere := t.TempDir() + "/file"
	if err := os.WriteFile(elsewhere, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "IVT_TEST_CONFINED=1", "IVT_TEST_LEFT="+t.TempDir(), "IVT_TEST_ELSE="+elsewhere)
	c.Stdin = os.Stdin
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.TrimSpace(string(out))
	if strings.HasPrefix(got, "confine:") {
		t.Skipf("%s (needs Linux 5.13 with landlock, and CGO_ENABLED=0)", got)
	}
	want := "own true false\nleft true false\nelse false true\nexecute false true\nown descriptors true false\nothers' descriptors false true\nothers' stat true false"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("IVT_TEST_CONFINED") != "" {
		confined()
		os.Exit(0)
	}
	os.Exit(m.Run())
}
