package vectormap

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A memory is the kernel's. Read fills buf from addr or fails; a range that cannot be read may also give zeros
// (/proc/kcore does), so every caller checks what it got for plausibility.
type memory interface {
	Read(addr uint64, buf []byte) error
}

// bytesAt reads n bytes.
func bytesAt(m memory, addr uint64, n int) ([]byte, error) {
	buf := make([]byte, n)
	if err := m.Read(addr, buf); err != nil {
		return nil, fmt.Errorf("read %d bytes of kernel memory at %#x: %w", n, addr, err)
	}
	return buf, nil
}

// wordsAt reads n 64-bit words.
func wordsAt(m memory, addr uint64, n int) ([]uint64, error) {
	buf, err := bytesAt(m, addr, 8*n)
	if err != nil {
		return nil, err
	}
	return words(buf), nil
}

// words splits buf into 64-bit words; bitmaps of the kernel on x86-64 are arrays of these.
func words(buf []byte) []uint64 {
	ws := make([]uint64, len(buf)/8)
	for i := range ws {
		ws[i] = binary.LittleEndian.Uint64(buf[8*i:])
	}
	return ws
}

// stringAt reads a string of at most 64 bytes, without its terminating NUL. It reads up to the end of a page first: what
// follows a string may not be mapped.
func stringAt(m memory, addr uint64) (string, error) {
	const limit, page = 64, 4096
	first := min(limit, page-int(addr%page))
	var text []byte
	for _, n := range []int{first, limit - first} {
		buf, err := bytesAt(m, addr+uint64(len(text)), n)
		if err != nil {
			return "", err
		}
		text = append(text, buf...)
		if head, _, ended := bytes.Cut(text, []byte{0}); ended {
			return string(head), nil
		}
	}
	return "", fmt.Errorf("no string at %#x", addr)
}

// isKernelPointer reports whether p can point into the kernel's half of the address space, with four or five page
// table levels (Documentation/arch/x86/x86_64/mm.rst).
func isKernelPointer(p uint64) bool { return p >= 0xff00_0000_0000_0000 && p < 0xffff_ffff_ffff_f000 }
