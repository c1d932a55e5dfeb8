package vectormap

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/test/vm/guest"
)

// here is the machine that the test runs on.
type here struct{}

func (here) FS() fs.FS  { return os.DirFS("/") }
func (here) Live() bool { return true }

// Whatever this machine lets us see: where the vectors are known, every irq is on the CPU that /proc/irq says. One that
// moves between the two readings is looked at again.
func TestThisMachine(t *testing.T) {
	r := NewReader(here{}, Options{})
	m, err := r.Read(t.Context())
	if err != nil {
		t.Skip(err)
	}
	t.Logf("by %s, counted %v: %d irqs on %d CPUs, %d readings", m.Method, m.Counted(), len(m.IRQs), len(m.CPUs), m.Passes)
	for _, b := range m.Blind {
		t.Log(b)
	}
	wrong := elsewhere(m)
	for range 5 {
		if len(wrong) == 0 {
			return
		}
		if m, err = r.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		wrong = elsewhere(m)
	}
	if len(wrong) > 0 {
		t.Errorf("not where /proc/irq says: %v", wrong)
	}
}

// elsewhere lists the irqs whose effective affinity is another CPU. Without a handler an irq has none that counts.
func elsewhere(m *Map) []string {
	var wrong []string
	for _, q := range m.IRQs {
		text, err := os.ReadFile("/proc/irq/" + strconv.Itoa(q.Number) + "/effective_affinity_list")
		if err != nil || q.CPU == Unknown || q.Actions == "" {
			continue
		}
		if at := strings.TrimSpace(string(text)); at != strconv.Itoa(q.CPU) {
			wrong = append(wrong, fmt.Sprintf("irq %d (%s) on CPU %d, by /proc/irq %s", q.Number, q.Actions, q.CPU, at))
		}
	}
	return wrong
}

// Without any symbol the tables are found where the symbols say that they are.
func TestVMWithoutSymbols(t *testing.T) {
	guest.Require(t)
	if _, err := os.Stat(btfPath); err != nil {
		t.Skip("this kernel has no BTF; 6.1 has")
	}
	want, err := Read(t.Context(), here{}, Options{Methods: []Method{MethodKcore}})
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(here{}, Options{Methods: []Method{MethodBPF}})
	r.missing = errSymbolsMissing // as if
	got, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.anchored == nil || got.Counted() || got.Global.Online != want.Global.Online || got.Global.Allocated != want.Global.Allocated {
		t.Errorf("anchored %v, global %+v, by kcore %+v", r.anchored, got.Global, want.Global)
	}
	if diff := cmp.Diff(want.IRQs, got.IRQs); diff != "" {
		t.Errorf("irqs (-by kcore +without symbols):\n%s", diff)
	}
	for i, c := range got.CPUs {
		var slots []Slot
		for _, s := range want.CPUs[i].Slots {
			if s.Managed = false; s.State != StateManaged {
				slots = append(slots, s)
			}
		}
		if diff := cmp.Diff(slots, c.Slots); diff != "" {
			t.Errorf("CPU %d (-by kcore +without symbols):\n%s", c.Number, diff)
		}
	}
}
