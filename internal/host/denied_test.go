package host

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/ivtd/ivt/irq"
)

// A guarded tree is one that an unprivileged user sees: other users' descriptors and debugfs may not be read.
type guarded struct{ *savedTree }

func (g guarded) forbidden(op, name string) error {
	if strings.HasSuffix(name, "/fd") || strings.HasPrefix(name, "sys/kernel/debug") {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrPermission}
	}
	return nil
}

func (g guarded) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := g.forbidden("open", name); err != nil {
		return nil, err
	}
	return g.savedTree.ReadDir(name)
}

func (g guarded) Open(name string) (fs.File, error) {
	if err := g.forbidden("open", name); err != nil {
		return nil, err
	}
	return g.savedTree.Open(name)
}

func TestUnprivilegedSeesThatItDoesNotSee(t *testing.T) {
	tree := newSavedTree()
	for name, text := range map[string]string{
		"proc/interrupts": "CPU0\n 16: 5 IO-APIC 16-fasteoi   vfio-intx(0000:02:00.0)\n 17: 5 IO-APIC 17-fasteoi   ehci_hcd\n",
		"proc/70/stat":    "70 (secret) S 1" + strings.Repeat(" 0", 48), "proc/70/fd/3": "", "sys/kernel/debug/x": "",
		"sys/kernel/irq/16/actions": "vfio-intx(0000:02:00.0)",
	} {
		if err := tree.add(name, &savedNode{mode: 0o444, data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	r := &Root{tree: guarded{tree.sort()}, name: "this machine", kind: kindLive, saver: -1}
	m, err := r.Read(context.Background(), Options{Parts: PartAll})
	if err != nil {
		t.Fatal(err)
	}
	h := m.IRQ(16).Holders
	if len(h) != 1 || h[0].Kind != irq.HolderUnknown || !strings.Contains(h[0].Label, "1 process may not be read") || h[0].Cure != "run it as root" {
		t.Errorf("%+v", h)
	}
	if h := m.IRQ(17).Holders; len(h) != 1 || h[0].Kind != irq.HolderKernel {
		t.Errorf("a line that no process can hold: %+v", h)
	}
	for what, cure := range map[string]string{blindProcesses: "run it as root", "exact state of irqs": "run it as root"} {
		found := false
		for _, b := range m.Blind {
			found = found || b.What == what && strings.Contains(b.Cure, cure)
		}
		if !found {
			t.Errorf("nothing says that %s is not seen: %v", what, m.Blind)
		}
	}
	a, err := r.Who(context.Background(), "pid:70")
	if err != nil || a.Held() || len(a.Blind) == 0 {
		t.Errorf("%+v %v", a, err)
	}
}

// The same on the running machine, where the test is not root.
func TestLiveUnprivileged(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root sees everything; try: setpriv --reuid 65534 --clear-groups go test")
	}
	r, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Read(context.Background(), Options{Parts: PartAll})
	if err != nil {
		t.Skip("no /proc/interrupts to read here; try: outside a sandbox:", err)
	}
	if len(m.Blind) == 0 {
		t.Error("an unprivileged reader saw everything")
	}
}
