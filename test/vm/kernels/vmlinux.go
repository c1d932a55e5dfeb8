package kernels

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// decompress replaces the bzImage at path by the ELF file in it, if QEMU can
// start that: under emulation the kernel takes two to three seconds to unpack
// itself. What cannot be unpacked stays as it was, it boots as well.
func decompress(path string) error {
	image, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	kernel, err := payload(image)
	if err != nil || !startsDirectly(kernel) {
		return nil
	}
	return os.WriteFile(path, kernel, 0o644)
}

var errPayload = errors.New("no compressed kernel in the image")

// payload unpacks the compressed kernel of a bzImage; the fields are those of
// Documentation/arch/x86/boot.rst.
func payload(image []byte) ([]byte, error) {
	const setupSects, payloadOffset, payloadLength = 0x1f1, 0x248, 0x24c
	if len(image) < payloadLength+4 {
		return nil, errPayload
	}
	setup := max(int(image[setupSects]), 4) // 0 means 4
	start := uint64(setup+1)*512 + uint64(binary.LittleEndian.Uint32(image[payloadOffset:]))
	end := start + uint64(binary.LittleEndian.Uint32(image[payloadLength:]))
	if start >= end || end > uint64(len(image)) {
		return nil, errPayload
	}
	for magic, tool := range map[string]string{"\xfd7zXZ": "xz", "\x1f\x8b": "gzip", "(\xb5/\xfd": "zstd"} {
		if bytes.HasPrefix(image[start:end], []byte(magic)) {
			cmd := exec.Command(tool, "-dc")
			cmd.Stdin = bytes.NewReader(image[start:end])
			// The kernel's size follows the stream, which some tools mention.
			out, err := cmd.Output()
			if len(out) == 0 {
				return nil, fmt.Errorf("%s: %w", tool, err)
			}
			return out, nil
		}
	}
	return nil, errPayload
}

// startsDirectly says whether the kernel has the PVH entry by which QEMU starts
// an ELF file: the note XEN_ELFNOTE_PHYS32_ENTRY.
func startsDirectly(kernel []byte) bool {
	const entry = 18
	f, err := elf.NewFile(bytes.NewReader(kernel))
	if err != nil {
		return false
	}
	notes := f.Section(".notes")
	if notes == nil {
		return false
	}
	b, err := notes.Data()
	for err == nil && len(b) >= 12 {
		name, desc, kind := f.ByteOrder.Uint32(b), f.ByteOrder.Uint32(b[4:]), f.ByteOrder.Uint32(b[8:])
		size := 12 + uint64(name+3)&^3 + uint64(desc+3)&^3
		if kind == entry && bytes.HasPrefix(b[12:], []byte("Xen\x00")) {
			return true
		}
		if size > uint64(len(b)) {
			return false
		}
		b = b[size:]
	}
	return false
}
