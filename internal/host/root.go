package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/ivtd/ivt/internal/host/interrupts"
	"github.com/ivtd/ivt/irq"
)

// A Root is where a machine is read from. It is safe for concurrent use.
type Root struct {
	tree  fs.FS
	name  string
	live  bool
	taken time.Time
}

var errTodo = errors.New("not written yet")

// Open opens a machine: "" or "/" is the live one, "-" a saved machine on standard input, a directory has
// copies of /proc and /sys below it, a file is one made by Save (a gzipped or plain tar), or a bare copy of
// /proc/interrupts, plain or compressed by gzip or bzip2. Something that is no machine is
// irq.ErrInvalidParameter with a detail that says what is missing.
func Open(name string) (*Root, error) { return nil, errTodo }

// Close gives back what Open took. Machines that were read stay usable.
func (r *Root) Close() error { return nil }

// Live reports whether r is the running machine.
func (r *Root) Live() bool { return r.live }

// Name returns what Open was given, "this machine" for the live one.
func (r *Root) Name() string { return r.name }

// FS returns the tree, with names like "proc/irq/36/node". It implements fs.ReadLinkFS.
func (r *Root) FS() fs.FS { return r.tree }

// Read takes a picture. A missing or unreadable part is in Machine.Blind; the error is for a machine
// whose /proc/interrupts cannot be read at all, and for ctx.
func (r *Root) Read(ctx context.Context, o Options) (*Machine, error) { return nil, errTodo }

// Interrupts parses /proc/interrupts and nothing else, for samplers.
func (r *Root) Interrupts() (*interrupts.Table, error) { return nil, errTodo }

// Softirqs parses /proc/softirqs.
func (r *Root) Softirqs() (*interrupts.Table, error) { return nil, errTodo }

// IRQ reads one irq with the given parts. One that the kernel does not have is irq.ErrNoSuchDevice.
func (r *Root) IRQ(ctx context.Context, number int, parts Parts) (*IRQ, error) { return nil, errTodo }

// IRQHolder returns who holds one irq, for a refusal: the processes behind VFIO, UIO or GPIO, otherwise
// the kernel driver. It is empty if nobody requested the irq; irq.ErrNoSuchDevice if the kernel has no such irq.
func (r *Root) IRQHolder(ctx context.Context, number int) ([]irq.Holder, error) { return nil, errTodo }

// Save writes the machine as a gzipped tar that Open reads. See save.go for what is in it and what is left out.
func (r *Root) Save(ctx context.Context, w io.Writer) error { return errTodo }
