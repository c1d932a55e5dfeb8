package kernels

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Modules are the kernel modules that the VM tests may load, with all that
// they depend on. One that a kernel has built in, or lacks, is left out.
var Modules = []string{
	// Interrupts for user space; the init loads these.
	"irqbypass", "vfio", "vfio_virqfd", "vfio_iommu_type1", "iommufd", "vfio-pci-core", "vfio-pci",
	"uio", "uio_pci_generic", "configfs", "gpio-sim",
	// Drivers of the emulated devices; a test asks for them.
	"e1000e", "8139cp", "nvme", "xhci-pci", "snd-hda-intel", "virtio_pci", "virtio_console",
	// File systems for tests of what is in use.
	"overlay", "autofs4", "minix", "ext4", "fuse",
}

// Order names the file, beside the modules, that says what to load for each:
// a line per module, itself last, what it needs before it.
const Order = "order"

// pickModules copies the wanted modules and what they need from a tree of
// Debian's into dir, uncompressed.
func pickModules(tree, dir string, wanted []string) error {
	p := picker{files: map[string]string{}, dir: dir, needs: map[string][]string{}}
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if base, _, ok := strings.Cut(filepath.Base(path), ".ko"); ok && err == nil {
			p.files[moduleName(base)] = path
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var order strings.Builder
	for _, name := range wanted {
		chain, err := p.pick(moduleName(name))
		if err != nil {
			return err
		}
		if len(chain) > 0 {
			fmt.Fprintln(&order, strings.Join(chain, " "))
		}
	}
	return os.WriteFile(filepath.Join(dir, Order), []byte(order.String()), 0o644)
}

type picker struct {
	files map[string]string   // module name → path in the tree
	needs map[string][]string // module name → load order, once copied
	dir   string
}

// pick copies a module after what it needs and returns the order. A module
// without a file is built in or unknown: it needs nothing.
func (p *picker) pick(name string) ([]string, error) {
	if chain, ok := p.needs[name]; ok || p.files[name] == "" {
		return chain, nil
	}
	ko, err := readModule(p.files[name])
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", name, err)
	}
	deps, err := dependencies(ko)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", name, err)
	}
	var chain []string
	for _, d := range deps {
		before, err := p.pick(d)
		if err != nil {
			return nil, err
		}
		for _, b := range before {
			if !slices.Contains(chain, b) {
				chain = append(chain, b)
			}
		}
	}
	chain = append(chain, name)
	p.needs[name] = chain
	return chain, os.WriteFile(filepath.Join(p.dir, name+".ko"), ko, 0o644)
}

// readModule returns a module's ELF file. Debian compresses them from 6.12 on.
func readModule(path string) ([]byte, error) {
	if !strings.HasSuffix(path, ".xz") {
		return os.ReadFile(path)
	}
	out, err := exec.Command("xz", "-dc", path).Output()
	if err != nil {
		return nil, fmt.Errorf("xz -dc: %w (try: apt-get install xz-utils)", err)
	}
	return out, nil
}

// dependencies reads "depends=" of the .modinfo section: there is no
// modules.dep in a package, since depmod runs when one is installed.
func dependencies(ko []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(ko))
	if err != nil {
		return nil, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, fmt.Errorf("no .modinfo section")
	}
	info, err := s.Data()
	if err != nil {
		return nil, err
	}
	var deps []string
	for field := range strings.SplitSeq(string(info), "\x00") {
		if v, ok := strings.CutPrefix(field, "depends="); ok && v != "" {
			for d := range strings.SplitSeq(v, ",") {
				deps = append(deps, moduleName(d))
			}
		}
	}
	return deps, nil
}

// moduleName is the kernel's spelling, which /proc/modules shows.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }
