package guest

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// Interrupts returns how often the interrupts fired whose line of
// /proc/interrupts contains name, over all CPUs, such as "vfio-msi[0](0000:00:04.0)";
// ok is false if there is no such line.
func Interrupts(t testing.TB, name string) (count uint64, ok bool) {
	t.Helper()
	text, err := os.ReadFile("/proc/interrupts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, name) {
			continue
		}
		ok = true
		_, counts, _ := strings.Cut(line, ":")
		for f := range strings.FieldsSeq(counts) {
			n, err := strconv.ParseUint(f, 10, 64)
			if err != nil {
				break
			}
			count += n
		}
	}
	return count, ok
}
