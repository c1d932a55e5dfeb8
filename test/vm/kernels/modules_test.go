package kernels

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModulesAreLoadedAfterWhatTheyNeed(t *testing.T) {
	tree, out := t.TempDir(), filepath.Join(t.TempDir(), "modules")
	for file, depends := range map[string]string{
		"virt/lib/irqbypass.ko":             "",
		"drivers/vfio/vfio.ko":              "",
		"drivers/vfio/pci/vfio-pci-core.ko": "vfio,irqbypass",
		"drivers/vfio/pci/vfio-pci.ko":      "vfio-pci-core,vfio",
		"drivers/net/unwanted.ko":           "",
	} {
		put(t, filepath.Join(tree, file), string(module("license=GPL", "depends="+depends)))
	}
	if err := pickModules(tree, out, []string{"irqbypass", "vfio-pci", "builtin"}); err != nil {
		t.Fatal(err)
	}
	order, err := os.ReadFile(filepath.Join(out, Order))
	if err != nil {
		t.Fatal(err)
	}
	want := "irqbypass\nvfio irqbypass vfio_pci_core vfio_pci\n"
	if diff := cmp.Diff(want, string(order)); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(filepath.Join(out, "unwanted.ko")); err == nil {
		t.Error("a module that nobody asked for was copied")
	}
}

func TestBrokenModule(t *testing.T) {
	tree := t.TempDir()
	put(t, filepath.Join(tree, "vfio.ko"), "no ELF file")
	if err := pickModules(tree, t.TempDir(), []string{"vfio"}); err == nil || !strings.Contains(err.Error(), "vfio") {
		t.Errorf("error %v does not name the module", err)
	}
}

func TestLinesThatAKernelDoesNotTake(t *testing.T) {
	fragment := "# comment\nCONFIG_A=y\nCONFIG_B=n\nCONFIG_C=\"text\"\nCONFIG_GONE=y\n"
	config := "\n# CONFIG_B is not set\nCONFIG_A=y\nCONFIG_C=\"text\"\nCONFIG_GONE_TOO=y\n"
	if diff := cmp.Diff([]string{"CONFIG_GONE=y"}, dropped([]byte(fragment), []byte(config))); diff != "" {
		t.Error(diff)
	}
}

// module is a 64-bit ELF file with nothing but .modinfo.
func module(info ...string) []byte {
	const names = "\x00.modinfo\x00.shstrtab\x00"
	text := strings.Join(info, "\x00") + "\x00"
	var b bytes.Buffer
	write := func(v any) { binary.Write(&b, binary.LittleEndian, v) }
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	write([]uint16{1, 62})                                     // relocatable, x86-64
	write(uint32(1))                                           // version
	write([]uint64{0, 0, uint64(64 + len(text) + len(names))}) // section headers at the end
	write(uint32(0))
	write([]uint16{64, 0, 0, 64, 3, 2})
	b.WriteString(text + names)
	section := func(name, kind uint32, off, size int) {
		write([]uint32{name, kind})
		write([]uint64{0, 0, uint64(off), uint64(size)})
		write([]uint32{0, 0})
		write([]uint64{1, 0})
	}
	section(0, 0, 0, 0)
	section(1, 1, 64, len(text))
	section(10, 3, 64+len(text), len(names))
	return b.Bytes()
}
