package page

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/host"
)

const twoCPUs = `           CPU0       CPU3
  4:          0          7   IO-APIC   4-edge      ttyS0
  9:          2          1   IO-APIC   9-fasteoi   acpi
 10:          0          0   IO-APIC  10-edge      quiet
`

// TestASavedMachineShowsItsCountsOnce: one picture has no rates, so the counts since boot say where interrupts land; and
// there is no second picture to take.
func TestASavedMachineShowsItsCountsOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "proc/interrupts"), []byte(twoCPUs), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := host.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	m := &Machine{Root: root, Alone: true}
	defer m.Close()
	h := newHub(m, 0)
	if h.wanted() {
		t.Error("nobody looks, and a picture is wanted")
	}
	v := h.join()
	if !h.wanted() {
		t.Error("the first viewer gets no picture")
	}
	h.once(t.Context())
	if h.wanted() {
		t.Error("another picture of a saved machine is wanted")
	}
	for name, first := range map[string]*viewer{"who waited for it": v, "who came later": h.join()} {
		var f struct {
			Full    bool
			Columns []int
			Rows    []struct {
				IRQ    int
				Counts [][2]uint64
				PerCPU [][2]float64
			}
		}
		if err := json.Unmarshal((<-first.queue).data, &f); err != nil {
			t.Fatal(err)
		}
		counts := map[int][][2]uint64{}
		for _, r := range f.Rows {
			counts[r.IRQ] = r.Counts
			if r.PerCPU != nil {
				t.Errorf("%s: irq %d has rates", name, r.IRQ)
			}
		}
		if diff := cmp.Diff(map[int][][2]uint64{4: {{1, 7}}, 9: {{0, 2}, {1, 1}}, 10: nil}, counts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff([]int{0, 3}, f.Columns); diff != "" || !f.Full {
			t.Errorf("%s: full %t, columns (-want +got):\n%s", name, f.Full, diff)
		}
	}
}
