package vm

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The table that is kept compiled is the one of its source. (The header's checksum and compiler may differ.)
func TestPinTableIsOfItsSource(t *testing.T) {
	if n := binary.LittleEndian.Uint32(pinAML[4:]); string(pinAML[:4]) != "SSDT" || int(n) != len(pinAML) {
		t.Fatalf("%q of %d bytes says that it has %d", pinAML[:4], len(pinAML), n)
	}
	if _, err := exec.LookPath("iasl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("iasl is missing; try: apt-get install acpica-tools")
		}
		t.Skip("needs iasl to compile the source; try: apt-get install acpica-tools")
	}
	prefix := filepath.Join(t.TempDir(), "pins")
	if out, err := exec.Command("iasl", "-p", prefix, "testdata/pins.asl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fresh, err := os.ReadFile(prefix + ".aml")
	if err != nil {
		t.Fatal(err)
	}
	const header = 36
	if !bytes.Equal(fresh[header:], pinAML[header:]) {
		t.Error("testdata/pins.aml is not what testdata/pins.asl says; try: cd test/vm/testdata && iasl -p pins pins.asl")
	}
}

// Only a machine that asks for pins has them: the others are what they were.
func TestPinsAreAskedFor(t *testing.T) {
	has := func(m *machine) bool {
		return strings.Contains(strings.Join(append(m.hardware(), m.commandLine()), " "), "0x20000000")
	}
	if has(&machine{}) || !has(&machine{pins: true}) {
		t.Error("pins are where nobody asked for them, or not where somebody did")
	}
}
