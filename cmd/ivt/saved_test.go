//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/host/vectormap"
)

// openDir returns a folder in which every user may make files.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func output(t *testing.T, args ...string) (out, errs string) {
	t.Helper()
	c := exec.Command(program(t, "ivt"), args...)
	var e strings.Builder
	c.Stderr = &e
	o, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, &e)
	}
	return string(o), e.String()
}

func vectors(t *testing.T, args ...string) *vectormap.Map {
	t.Helper()
	out, _ := output(t, append(args, "list", "--map", "--json")...)
	m := new(vectormap.Map)
	if err := json.Unmarshal([]byte(out), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSavedTreeShowsItsMap: what a saved machine shows of the CPUs' vectors is what the machine showed, and by which method.
func TestSavedTreeShowsItsMap(t *testing.T) {
	dir := openDir(t)
	saved := `{"method":"kcore","passes":2,"blind":[{"method":"debugfs","what":"the map","why":"not mounted"}],
		"global":{"online":1,"first":32,"end":236,"available":200,"allocated":1,"reserved":0,"managed":0,"system":[]},
		"cpus":[{"cpu":0,"online":true,"available":200,"allocated":1,"managed":0,"managedAllocated":0,"slots":[{"vector":33,"state":"live","irq":9}]}],
		"irqs":[{"irq":9,"chips":["IO-APIC","APIC"],"cpu":0,"vector":33}]}`
	tree := filepath.Join(dir, "tree")
	for name, text := range map[string]string{"proc/interrupts": "      CPU0\n  9:  1  IO-APIC  9-fasteoi  acpi\n", "proc/sys/kernel/arch": "x86_64\n",
		"sys/devices/system/cpu/online": "0\n", vectormap.SavedName: saved} {
		at := filepath.Join(tree, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "saved")
	if _, errs := output(t, "--root", tree, "save", file); !strings.Contains(errs, "vectors are in it, by kcore") {
		t.Error(errs)
	}
	want := vectors(t, "--root", tree)
	if want.Method != vectormap.MethodKcore || len(want.CPUs) != 1 || want.CPUs[0].Slots[0].Vector != 33 {
		t.Errorf("%+v", want)
	}
	if diff := cmp.Diff(want, vectors(t, "--root", file)); diff != "" {
		t.Errorf("(-tree +saved):\n%s", diff)
	}
}

// TestSavedMachineShowsItsMap is the same on this machine, whose table goes on changing: the methods agree.
func TestSavedMachineShowsItsMap(t *testing.T) {
	dir := openDir(t)
	if err := exec.Command(program(t, "ivt"), "list", "--map").Run(); err != nil {
		t.Skip("this machine shows no map; try: a machine with an x86-64 processor")
	}
	file := filepath.Join(dir, "saved")
	output(t, "save", file)
	then, now := vectors(t, "--root", file), vectors(t)
	if then.Method != now.Method || len(then.CPUs) != len(now.CPUs) || then.Exact() != (then.CPUs[0].Slots != nil) {
		t.Errorf("saved: %s, %d CPUs; live: %s, %d CPUs", then.Method, len(then.CPUs), now.Method, len(now.CPUs))
	}
}

// TestSavedWithoutRights says what is not in the file and why, at once and later.
func TestSavedWithoutRights(t *testing.T) {
	dir := openDir(t)
	if err := exec.Command(program(t, "ivt"), "list", "--map").Run(); err != nil {
		t.Skip("this machine shows no map; try: a machine with an x86-64 processor")
	}
	c := exec.Command(program(t, "ivt"), "save", filepath.Join(dir, "saved"))
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "vectors are not in it") || !strings.Contains(string(out), "  kcore: the map: ") {
		t.Errorf("%s", out)
	}
	m := vectors(t, "--root", filepath.Join(dir, "saved"))
	if m.Method != vectormap.MethodInference {
		t.Errorf("by %s", m.Method)
	}
	for _, b := range m.Blind {
		if b.Method != m.Method && !strings.HasPrefix(b.Why, "when it was saved: ") {
			t.Errorf("not said why: %s", b)
		}
	}
}
