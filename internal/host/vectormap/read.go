package vectormap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/irq"
)

// A Root is the machine that is read, as host.Root gives it: a tree with proc and sys, and whether that is the machine
// on which this program runs. Only that one has memory to read.
type Root interface {
	FS() fs.FS
	Live() bool
}

// Options say how to read. The zero value tries every method, best first.
type Options struct {
	// Methods restricts which are tried, and in which order.
	Methods []Method
	// HiddenSymbols allows to find the kernel's symbols in its memory where /proc/kallsyms shows no addresses
	// (no CAP_SYSLOG, or kptr_restrict = 2). Whoever hid them did so on purpose: off by default.
	HiddenSymbols bool
	// Passes is how many sweeps may differ before a map is given up as unstable; 0 means DefaultPasses.
	Passes int
	// Arch is the architecture as uname -m says, where the caller knows it. Without, it is found in root.
	Arch string
}

// Methods lists all methods, best first.
func Methods() []Method { return []Method{MethodDebugfs, MethodKcore, MethodBPF, MethodInference} }

// A Reader reads the map of one machine again and again. It keeps the kernel's symbols and the layout of its structures,
// which take most of the time of the first Read. It is not safe for concurrent use; nothing has to be closed.
type Reader struct {
	root     Root
	options  Options
	symbols  *symbols // from kallsyms or memory
	missing  error    // why there are none
	anchored *symbols // found without
	layout   *layout
	anchor   *anchorLayout
	noAnchor error // why there is no anchor
	// brought is the map that came with a saved machine, noBrought why there is none.
	brought   *Map
	noBrought error
}

// NewReader returns a reader of a machine.
func NewReader(root Root, o Options) *Reader {
	if o.Passes <= 0 {
		o.Passes = DefaultPasses
	}
	if len(o.Methods) == 0 {
		o.Methods = Methods()
	}
	return &Reader{root: root, options: o}
}

// Read reads the map of a machine once; see [Reader.Read].
func Read(ctx context.Context, root Root, o Options) (*Map, error) {
	return NewReader(root, o).Read(ctx)
}

// Read reads the map. Every method that failed is in Map.Blind with the reason. The error is irq.ErrNotSupported on an
// architecture without per-CPU vectors, and irq.ErrNoSuchDevice if no method worked, with the reasons joined. Nothing is
// changed.
func (r *Reader) Read(ctx context.Context) (*Map, error) {
	if err := checkArch(r.options.Arch, r.root); err != nil {
		return nil, err
	}
	var blind []Blind
	for _, method := range r.options.Methods {
		m, err := r.by(ctx, method)
		if err == nil {
			m.Method, m.Blind = method, append(blind, m.Blind...)
			m.label(r.root.FS())
			return m, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		blind = append(blind, r.blind(method, err))
	}
	return nil, noMethod(blind)
}

func (r *Reader) by(ctx context.Context, method Method) (*Map, error) {
	switch method {
	case MethodDebugfs:
		return readDebugfs(ctx, r.root.FS(), r.options.Passes)
	case MethodKcore:
		return r.byKcore(ctx)
	case MethodBPF:
		return r.byBPF(ctx)
	case MethodInference:
		return infer(ctx, r.root.FS())
	}
	return nil, &irq.Error{Code: irq.ErrInvalidParameter, Operation: "read the vector map", Name: string(method),
		Detail: "there is no such method"}
}

func noMethod(blind []Blind) error {
	var why []string
	e := &irq.Error{Code: irq.ErrNoSuchDevice, Operation: "read the vector map"}
	for _, b := range blind {
		why = append(why, string(b.Method)+": "+b.Why)
		if b.Cure != "" {
			e.Remedies = append(e.Remedies, b.Cure)
		}
	}
	e.Detail = strings.Join(why, "; ")
	return e
}

// errSaved: the methods that read memory have none of a saved machine, but for the map that was saved with it.
var errSaved = errors.New("the memory of a saved machine is not there, and no map was saved by this method")

// label fills in who handles each irq.
func (m *Map) label(tree fs.FS) {
	for i := range m.IRQs {
		q := &m.IRQs[i]
		text, err := fs.ReadFile(tree, path.Join("sys/kernel/irq", strconv.Itoa(q.Number), "actions"))
		if err == nil {
			q.Actions = strings.TrimSuffix(string(text), "\n")
		}
	}
}

// checkArch refuses machines whose interrupts have no per-CPU vectors to run out of.
func checkArch(arch string, root Root) error {
	if arch == "" {
		arch = archOf(root)
	}
	switch arch {
	case "x86_64", "amd64":
		return nil
	case "":
		return &irq.Error{Code: irq.ErrNotSupported, Operation: "read the vector map", Reason: irq.ReasonNoSuchSource,
			Detail: "this machine does not look like x86-64, and only there does a CPU have vectors of its own"}
	}
	detail := fmt.Sprintf("no per-CPU vectors on this architecture (%s)", arch)
	if strings.HasPrefix(arch, "arm") || strings.HasPrefix(arch, "aarch") {
		detail += ": the interrupt controller (GIC) routes by number, and no CPU runs out"
	}
	return &irq.Error{Code: irq.ErrNotSupported, Operation: "read the vector map", Reason: irq.ReasonNoSuchSource, Detail: detail,
		Remedies: []string{"for which CPU serves which interrupt: ivt list"}}
}
