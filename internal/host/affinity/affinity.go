package affinity

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/vectormap"
	"github.com/ivtd/ivt/irq"
)

// Options say on which machine. The zero value is this one, without a vector map.
type Options struct {
	Root string // where proc and sys are; default "/"
	// Map reads the vector map, which knows managed irqs for certain and explains a lack of vectors; it is called only
	// where that is the question. nil goes without.
	Map func(ctx context.Context) (*vectormap.Map, error)

	write func(path, value string) error // a test puts a kernel here
}

// A State is where an irq may go and where it goes.
type State struct {
	IRQ      int      `json:"irq"`
	Handlers []string `json:"handlers,omitempty"`
	Chip     string   `json:"chip,omitempty"`
	host.Affinity
	Online host.CPUSet `json:"online"`           // CPUs of the machine
	Vector int         `json:"vector,omitempty"` // on the effective CPU, where Options.Map was asked and knows
}

// A Change is what setting an affinity did.
type Change struct {
	Before  State  `json:"before"`
	After   State  `json:"after"`
	Path    string `json:"path"`              // the file that was written
	Value   string `json:"value"`             // what was written
	Undo    string `json:"undo"`              // what to write to get back
	Pending bool   `json:"pending,omitempty"` // the irq is still handled on the former CPU
	Note    string `json:"note,omitempty"`    // why Pending, and which CPUs are offline
}

// Read reads the affinity of an irq. One that the kernel does not have is irq.ErrNoSuchDevice.
func Read(ctx context.Context, number int, o Options) (*State, error) {
	r, err := host.Open(o.Root)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return read(ctx, r, number, o)
}

func read(ctx context.Context, r *host.Root, number int, o Options) (*State, error) {
	q, err := r.IRQ(ctx, number, host.PartAffinity|host.PartDescriptors|host.PartDevices)
	if err != nil {
		return nil, err
	}
	if q.Affinity == nil || !q.Affinity.Asked.Known() {
		return nil, refuse(irq.ErrNoSuchDevice, number, "nobody requested it, so it has no affinity",
			"ivt list shows the irqs that have a handler")
	}
	s := &State{IRQ: number, Chip: q.Chip, Affinity: *q.Affinity}
	for _, h := range q.Handlers {
		s.Handlers = append(s.Handlers, h.Name)
	}
	if s.Online, err = online(o.Root); err != nil {
		return nil, err
	}
	if s.Managed == host.Unknown || s.ManagedBy == byMode {
		s.byMap(ctx, o)
	}
	return s, nil
}

// byMode is how host says that it inferred from the mode of the file.
const byMode = "file mode"

// byMap asks the vector map. That it cannot be read is no failure: the answer stays unknown.
func (s *State) byMap(ctx context.Context, o Options) {
	if o.Map == nil {
		return
	}
	m, err := o.Map(ctx)
	if err != nil || !m.Exact() {
		return
	}
	if q := m.IRQ(s.IRQ); q != nil {
		s.Managed, s.ManagedBy, s.Vector = host.No, "vector map", q.Vector
		if q.Managed {
			s.Managed, s.Settable = host.Yes, host.No
		}
	}
}

func online(root string) (host.CPUSet, error) {
	name := below(root, "/sys/devices/system/cpu/online")
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	set, ok := host.ParseCPUList(string(text))
	if !ok {
		return nil, fmt.Errorf("%s: %.40q is no list of CPUs", name, text)
	}
	return set, nil
}

// ParseCPUs reads a list of CPUs, "0-3,8". Anything else, and no CPU at all, is irq.ErrInvalidParameter.
func ParseCPUs(text string) (host.CPUSet, error) {
	set, ok := host.ParseCPUList(text)
	if !ok || set.Len() == 0 {
		return nil, &irq.Error{Code: irq.ErrInvalidParameter, Operation: "set affinity", Name: text, Reason: irq.ReasonMalformed,
			Detail: "this is no list of CPUs", Remedies: []string{"write it as 0-3,8"}}
	}
	return set, nil
}

// below returns where a file of the machine is.
func below(root, name string) string {
	if root == "" {
		return name
	}
	return filepath.Join(root, name)
}

func path(number int) string { return "/proc/irq/" + strconv.Itoa(number) + "/smp_affinity_list" }

func refuse(code irq.Code, number int, detail string, remedies ...string) *irq.Error {
	return &irq.Error{Code: code, Operation: "set affinity", Vector: irq.Vector{Source: "irq", Index: number}, Detail: detail, Remedies: remedies}
}

// Plan says what Set would do, without doing it: the refusals that can be foreseen, or the change with the file and value
// that would be written; After is then as Before.
func Plan(ctx context.Context, number int, cpus host.CPUSet, o Options) (*Change, error) {
	s, err := Read(ctx, number, o)
	if err != nil {
		return nil, err
	}
	c := &Change{Before: *s, After: *s, Path: path(number), Value: cpus.String(), Undo: s.Asked.String()}
	here := cpus.And(s.Online)
	switch {
	case cpus.Len() == 0:
		return nil, refuse(irq.ErrInvalidParameter, number, "no CPU is named", "name CPUs as 0-3,8")
	case here.Len() == 0:
		return nil, refuse(irq.ErrInvalidParameter, number, fmt.Sprintf("CPU %s is not online", cpus), "online are "+s.Online.String())
	case s.Managed == host.Yes:
		return nil, managed(s)
	}
	if here.Len() < cpus.Len() {
		c.Note = fmt.Sprintf("of CPU %s only %s is online", cpus, here)
	}
	return c, nil
}

// Set changes on which CPUs an irq may be handled. It fails with irq.ErrInvalidParameter if none of the CPUs is online,
// irq.ErrNotSupported for a managed irq or one that may not be moved, irq.ErrNoResources if no vector is left on them,
// irq.ErrBusy while an earlier move is not over, irq.ErrAccessDenied without rights. Nothing is changed then.
func Set(ctx context.Context, number int, cpus host.CPUSet, o Options) (*Change, error) {
	c, err := Plan(ctx, number, cpus, o)
	if err != nil {
		return nil, err
	}
	write := o.write
	if write == nil {
		write = writeFile
	}
	if err := write(below(o.Root, c.Path), c.Value); err != nil {
		return nil, c.explain(ctx, err, cpus, o)
	}
	o.Map = nil // what it could tell is in Before
	after, err := Read(ctx, number, o)
	if err != nil {
		return nil, err
	}
	after.Managed, after.ManagedBy = c.Before.Managed, c.Before.ManagedBy
	c.After = *after
	if eff := after.Effective; eff.Known() && eff.Len() > 0 && eff.And(cpus).Len() == 0 {
		c.Pending = true
		c.add(fmt.Sprintf("CPU %s handles it until the next interrupt, which moves it", eff))
	}
	return c, nil
}

func (c *Change) add(note string) {
	c.Note = strings.TrimPrefix(c.Note+"; "+note, "; ")
}

func writeFile(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
