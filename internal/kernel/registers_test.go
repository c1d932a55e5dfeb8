//go:build linux

package kernel

import (
	"os"
	"testing"
)

func TestRegisters(t *testing.T) {
	b, err := Mmap(memory(t), 0, os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	Store32(b, 8, 0x01020304)
	Store64(b, 16, 0x05060708090a0b0c)
	if b[8] != 4 || b[11] != 1 || b[16] != 0x0c || Load32(b, 8) != 0x01020304 || Load64(b, 16) != 0x05060708090a0b0c {
		t.Errorf("got % x", b[:24])
	}
	for name, access := range map[string]func(){
		"before it":      func() { Load32(b, -4) },
		"over its end":   func() { Store32(b, len(b)-2, 0) },
		"behind it":      func() { Load64(b, len(b)) },
		"not aligned":    func() { Load32(b, 2) },
		"half a quad":    func() { Store64(b, 4, 0) },
		"of no register": func() { Load32(nil, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			access()
		})
	}
	if err := Blank(b); err != nil {
		t.Fatal(err)
	}
	if Load32(b, 8) != 0 {
		t.Error("what was blanked is still there")
	}
	Store32(b, 8, 1) // reaches nobody
}

func memory(t *testing.T) int {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	return int(f.Fd())
}
