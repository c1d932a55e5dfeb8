package kmod

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestChain(t *testing.T) {
	dir := t.TempDir()
	if _, err := chain(dir, "vfio"); !errors.Is(err, ErrAbsent) {
		t.Errorf("a kernel without modules: %v", err)
	}
	order := "irqbypass\nvfio irqbypass vfio_pci\n"
	if err := os.WriteFile(filepath.Join(dir, "order"), []byte(order), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := chain(dir, "vfio_pci"); err != nil || strings.Join(got, " ") != "vfio irqbypass vfio_pci" {
		t.Errorf("chain of vfio_pci: %v, %v", got, err)
	}
	if _, err := chain(dir, "vfio"); !errors.Is(err, ErrAbsent) {
		t.Errorf("a module that is only needed by others: %v", err)
	}
}
