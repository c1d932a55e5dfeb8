package vectormap

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// kcore reads kernel memory from /proc/kcore, an ELF core file whose segments are the kernel's mappings
// (fs/proc/kcore.c). Pages that cannot be read give zeros.
type kcore struct {
	file     io.ReaderAt
	segments []elf.ProgHeader
	info     map[string]string // VMCOREINFO, kernel/vmcore_info.c: "SYMBOL(_stext)" → "ffffffff81000000"
}

var errOutside = errors.New("no segment of /proc/kcore has this address")

func newKcore(file io.ReaderAt) (*kcore, error) {
	head, err := elf.NewFile(file)
	if err != nil {
		return nil, fmt.Errorf("/proc/kcore: %w", err)
	}
	if head.Class != elf.ELFCLASS64 || head.Machine != elf.EM_X86_64 {
		return nil, fmt.Errorf("/proc/kcore: %v %v is not x86-64", head.Class, head.Machine)
	}
	k := &kcore{file: file, info: map[string]string{}}
	for _, p := range head.Progs {
		switch p.Type {
		case elf.PT_LOAD:
			k.segments = append(k.segments, p.ProgHeader)
		case elf.PT_NOTE:
			notes := make([]byte, min(p.Filesz, 1<<20))
			n, _ := p.ReadAt(notes, 0) // a note that cannot be read only costs its information
			k.info = vmcoreinfo(notes[:n])
		}
	}
	if len(k.segments) == 0 {
		return nil, errors.New("/proc/kcore has no memory segment")
	}
	return k, nil
}

// Read implements memory.
func (k *kcore) Read(addr uint64, buf []byte) error {
	for _, s := range k.segments {
		if addr < s.Vaddr || addr-s.Vaddr >= s.Memsz {
			continue
		}
		if uint64(len(buf)) > s.Memsz-(addr-s.Vaddr) {
			return errOutside
		}
		_, err := k.file.ReadAt(buf, int64(s.Off+addr-s.Vaddr))
		return err
	}
	return errOutside
}

// symbol returns the address that VMCOREINFO has for a name.
func (k *kcore) symbol(name string) (uint64, bool) {
	addr, err := strconv.ParseUint(k.info["SYMBOL("+name+")"], 16, 64)
	return addr, err == nil && addr != 0
}

// vmcoreinfo finds the note of that name and splits its lines at the equals sign.
func vmcoreinfo(notes []byte) map[string]string {
	info := map[string]string{}
	start := bytes.Index(notes, []byte("VMCOREINFO\x00"))
	if start < 0 {
		return info
	}
	text, _, _ := bytes.Cut(notes[start+12:], []byte{0}) // the name is padded to 12 bytes
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			info[key] = value
		}
	}
	return info
}
