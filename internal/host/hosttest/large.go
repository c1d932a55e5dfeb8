//go:build unix

package hosttest

import (
	"bytes"
	"compress/bzip2"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt/internal/host"
)

// Large returns /proc/interrupts of a machine with 1,152 CPUs. It lies beside the tree, for packages two folders deep; where it
// does not, the test is skipped.
func Large(t testing.TB) []byte {
	t.Helper()
	f, err := os.Open("../../../shared/captures/pcp/interrupts-1152cpu-x86_64.bz2")
	if err != nil {
		t.Skip("the large capture is not there; try: put one at ../shared/captures/pcp/:", err)
	}
	defer f.Close()
	table, err := io.ReadAll(bzip2.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// A Busy machine is one on which everything that ever fired fires again at each Advance.
type Busy struct {
	Root *host.Root
	dir  string
	turn int
}

// turns is after how many pictures the counts begin again.
const turns = 5

// NewBusy makes one of a copy of /proc/interrupts; it lasts as long as the test.
func NewBusy(t testing.TB, table []byte) *Busy {
	t.Helper()
	m := &Busy{dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(m.dir, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for turn := range turns {
		if err := os.WriteFile(m.file(turn), withUnit(table, byte('1'+turn)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.Advance(t)
	root, err := host.Open(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	m.Root = root
	return m
}

func (m *Busy) file(turn int) string { return filepath.Join(m.dir, fmt.Sprint(turn)) }

// Advance has it be later.
func (m *Busy) Advance(t testing.TB) {
	t.Helper()
	now := filepath.Join(m.dir, "proc/interrupts")
	if err := os.Link(m.file(m.turn%turns), now+"~"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(now+"~", now); err != nil {
		t.Fatal(err)
	}
	m.turn++
}

// withUnit sets the last digit of each number that is not 0 and stands between blanks.
func withUnit(table []byte, unit byte) []byte {
	out := bytes.Clone(table)
	some, number := false, false
	for i, c := range out {
		switch {
		case c == ' ' && number && some:
			out[i-1] = unit
			fallthrough
		case c == ' ':
			some, number = false, true
		case c >= '0' && c <= '9':
			some = some || c != '0'
		default:
			number = false
		}
	}
	return out
}

// ProcessorTime is what this process has used, all its threads together.
func ProcessorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
