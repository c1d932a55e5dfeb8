// Package kmod loads kernel modules inside the VM, from the few that the
// initramfs has.
package kmod

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir has the modules, uncompressed, and the file "order": a line per module,
// itself last, what it needs before it.
const Dir = "/work/modules"

// ErrAbsent means that this kernel has no such module to load: it is built in,
// or the kernel does not have it at all.
var ErrAbsent = errors.New("no such module here")

// Load loads a module and what it needs; what is loaded already is left alone.
func Load(name string) error {
	chain, err := chain(Dir, strings.ReplaceAll(name, "-", "_"))
	if err != nil {
		return err
	}
	for _, m := range chain {
		if err := insert(filepath.Join(Dir, m+".ko")); err != nil {
			return fmt.Errorf("load module %s for %s: %w", m, name, err)
		}
	}
	return nil
}

func chain(dir, name string) ([]string, error) {
	order, err := os.ReadFile(filepath.Join(dir, "order"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(order)) {
		if f := strings.Fields(line); len(f) > 0 && f[len(f)-1] == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("module %s: %w", name, ErrAbsent)
}

func insert(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}
