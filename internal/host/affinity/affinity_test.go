package affinity

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/vectormap"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

// machine writes a copy of a machine's files with four CPUs, of which CPU 3 is offline, and irq 26 of a network card.
func machine(t *testing.T, more ...string) string {
	t.Helper()
	root := t.TempDir()
	files := append([]string{
		"proc/interrupts", "           CPU0       CPU1       CPU2\n 26:          5          0          0  PCI-MSIX-0000:3b:00.0   0-edge      eth0-rx-0\n",
		"proc/sys/kernel/osrelease", "6.12.0-1-amd64\n",
		"sys/devices/system/cpu/online", "0-2\n",
		"proc/irq/26/smp_affinity_list", "0-2\n",
		"proc/irq/26/effective_affinity_list", "0\n",
		"proc/irq/26/affinity_hint", "0\n",
		"proc/irq/26/node", "0\n",
		"sys/kernel/irq/26/chip_name", "PCI-MSIX-0000:3b:00.0\n",
		"sys/kernel/irq/26/actions", "eth0-rx-0\n",
		"sys/kernel/irq/27/actions", "\n",
	}, more...)
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(root, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func set(text string) host.CPUSet {
	s, ok := host.ParseCPUList(text)
	if !ok {
		panic(text)
	}
	return s
}

// moves is a kernel that moves the irq at once to the first CPU.
func moves(t *testing.T, root string) func(path, value string) error {
	return func(path, value string) error {
		if err := writeFile(path, value); err != nil {
			return err
		}
		first, _, _ := strings.Cut(value, "-")
		return writeFile(filepath.Join(root, "proc/irq/26/effective_affinity_list"), first)
	}
}

func TestSet(t *testing.T) {
	root := machine(t)
	c, err := Set(t.Context(), 26, set("1-2"), Options{Root: root, write: moves(t, root)})
	if err != nil {
		t.Fatal(err)
	}
	if c.Value != "1-2" || c.Undo != "0-2" || c.Path != "/proc/irq/26/smp_affinity_list" || c.Pending || c.Note != "" {
		t.Errorf("%+v", c)
	}
	if got := c.After.Asked.String() + " " + c.After.Effective.String(); got != "1-2 1" {
		t.Errorf("after: %s", got)
	}
	back, err := Set(t.Context(), 26, set(c.Undo), Options{Root: root, write: moves(t, root)})
	if err != nil || back.After.Asked.String() != "0-2" {
		t.Errorf("back: %+v, %v", back, err)
	}
}

// A move that waits for the next interrupt is said to, and offline CPUs are named.
func TestPending(t *testing.T) {
	c, err := Set(t.Context(), 26, set("2-3"), Options{Root: machine(t)})
	if err != nil || !c.Pending {
		t.Fatalf("%+v, %v", c, err)
	}
	want := "of CPU 2-3 only 2 is online; CPU 0 handles it until the next interrupt, which moves it"
	if diff := cmp.Diff(want, c.Note); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPlanWritesNothing(t *testing.T) {
	root := machine(t)
	c, err := Plan(t.Context(), 26, set("1"), Options{Root: root})
	if err != nil || c.Value != "1" || c.Undo != "0-2" {
		t.Fatalf("%+v, %v", c, err)
	}
	if text, _ := os.ReadFile(filepath.Join(root, "proc/irq/26/smp_affinity_list")); string(text) != "0-2\n" {
		t.Errorf("the file has %q", text)
	}
}

// full is a map on which CPU 1 and 2 have nothing left.
func full(managed bool) func(context.Context) (*vectormap.Map, error) {
	return func(context.Context) (*vectormap.Map, error) {
		return &vectormap.Map{Method: vectormap.MethodKcore, CPUs: []vectormap.CPU{
			{Number: 0, Online: true, Available: 120, Allocated: 82},
			{Number: 1, Online: true, Allocated: 202},
			{Number: 2, Online: true, Allocated: 190, Managed: 14, ManagedAllocated: 2},
		}, IRQs: []vectormap.IRQ{{Number: 26, CPU: 0, Vector: 0x23, Managed: managed}}}, nil
	}
}

func inferred(context.Context) (*vectormap.Map, error) {
	return &vectormap.Map{Method: vectormap.MethodInference}, nil
}

func broken(context.Context) (*vectormap.Map, error) { return nil, errors.New("no map") }

// Each errno of the kernel is told by its cause, and nothing is changed.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		number int
		cpus   string
		errno  error
		m      func(context.Context) (*vectormap.Map, error)
		want   irq.Code
		says   string
		cure   string
	}{
		{name: "no such irq", number: 99, cpus: "0", want: irq.ErrNoSuchDevice, says: "99"},
		{name: "not requested", number: 27, cpus: "0", want: irq.ErrNoSuchDevice, says: "nobody requested it"},
		{name: "offline", number: 26, cpus: "3", want: irq.ErrInvalidParameter, says: "CPU 3 is not online", cure: "0-2"},
		{name: "no CPU", number: 26, cpus: "", want: irq.ErrInvalidParameter, says: "no CPU"},
		{name: "managed by the map", number: 26, cpus: "1", m: full(true), want: irq.ErrNotSupported, says: "it is managed", cure: "isolcpus=managed_irq"},
		{name: "EPERM, not managed", number: 26, cpus: "1", errno: syscall.EPERM, m: full(false), want: irq.ErrNotSupported, says: "its driver keeps it"},
		{name: "EIO of 6.1, no map", number: 26, cpus: "1", errno: syscall.EIO, want: irq.ErrNotSupported, says: "managed, or its driver", cure: "isolcpus"},
		{name: "EIO of 6.1, broken map", number: 26, cpus: "1", errno: syscall.EIO, m: broken, want: irq.ErrNotSupported, says: "managed, or its driver"},
		{name: "EACCES", number: 26, cpus: "1", errno: syscall.EACCES, want: irq.ErrAccessDenied, says: "may not be written", cure: "sudo ivt affinity irq:26 1"},
		{name: "EBUSY", number: 26, cpus: "1", errno: syscall.EBUSY, want: irq.ErrBusy, says: "earlier move", cure: "try again"},
		{name: "EINVAL", number: 26, cpus: "1", errno: syscall.EINVAL, want: irq.ErrInvalidParameter, says: "does not take CPU 1"},
		{name: "EOVERFLOW", number: 26, cpus: "1,9000", errno: syscall.EOVERFLOW, want: irq.ErrInvalidParameter, says: "beyond"},
		{name: "gone", number: 26, cpus: "1", errno: fs.ErrNotExist, want: irq.ErrNoSuchDevice, says: "gone"},
		{name: "something else", number: 26, cpus: "1", errno: syscall.ENOMEM, want: irq.ErrNotSupported, says: "writing /proc/irq/26"},
		{name: "ENOSPC with map", number: 26, cpus: "1-2", errno: syscall.ENOSPC, m: full(false), want: irq.ErrNoResources,
			says: "CPU 1 (202 in use), CPU 2 (190 in use, 12 set aside for managed irqs)", cure: "CPU 0 has 120 free"},
		{name: "ENOSPC without map", number: 26, cpus: "1-2", errno: syscall.ENOSPC, want: irq.ErrNoResources, says: "no vector is left on CPU 1-2", cure: "ivt list --map"},
		{name: "ENOSPC by inference", number: 26, cpus: "1-2", errno: syscall.ENOSPC, m: inferred, want: irq.ErrNoResources, says: "only be inferred"},
	} {
		root := machine(t)
		o := Options{Root: root, Map: c.m}
		if c.errno != nil {
			o.write = func(path, _ string) error { return &fs.PathError{Op: "write", Path: path, Err: c.errno} }
		}
		change, err := Set(t.Context(), c.number, set(c.cpus), o)
		var e *irq.Error
		if change != nil || !errors.Is(err, c.want) || !errors.As(err, &e) || !strings.Contains(e.Detail, c.says) || !strings.Contains(strings.Join(e.Remedies, "\n"), c.cure) {
			t.Errorf("%s: %+v, %v", c.name, change, err)
		}
		if c.errno != nil && !errors.Is(err, c.errno) {
			t.Errorf("%s: the cause is lost: %v", c.name, err)
		}
		if text, _ := os.ReadFile(filepath.Join(root, "proc/irq/26/smp_affinity_list")); string(text) != "0-2\n" {
			t.Errorf("%s: the file has %q", c.name, text)
		}
	}
}

func TestParseCPUs(t *testing.T) {
	for text, want := range map[string]string{"0-3,8": "0-3,8", "5": "5", "0-7:1/2": "0,2,4,6", " 1 ": "1"} {
		if got, err := ParseCPUs(text); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "all", "3-1", "0-", "-1", "1,,2", "0x3", "99999999999"} {
		if got, err := ParseCPUs(text); !errors.Is(err, irq.ErrInvalidParameter) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestText(t *testing.T) {
	root := machine(t, "sys/kernel/irq/26/actions", "evil\x1b[2J\n")
	s, err := Read(t.Context(), 26, Options{Root: root, Map: full(false)})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	s.Handlers = append(s.Handlers, "evil\x1b[2J")
	if err := s.Write(term.Output{Writer: &b, Width: 80}); err != nil {
		t.Fatal(err)
	}
	c, err := Set(t.Context(), 26, set("2"), Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(term.Output{Writer: &b, Width: 80}); err != nil {
		t.Fatal(err)
	}
	want := `irq:26 eth0-rx-0, evil\x1b[2J
asked      CPU 0-2
effective  CPU 0, vector 0x23
node       0
managed    no (by vector map)
settable   unknown
echo 2 > /proc/irq/26/smp_affinity_list
asked      CPU 2, before: CPU 0-2
effective  CPU 0, before: CPU 0
note: CPU 0 handles it until the next interrupt, which moves it
back: ivt affinity irq:26 0-2
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
