package host

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/ivtd/ivt/internal/host/interrupts"
	"github.com/ivtd/ivt/irq"
)

// A Root is where a machine is read from. It is safe for concurrent use.
type Root struct {
	tree   fs.FS
	name   string
	kind   rootKind
	taken  time.Time // of a saved machine; zero if it does not tell
	saver  int       // uid that saved it, -1 if not known
	closer io.Closer
}

type rootKind uint8

const (
	kindLive      rootKind = iota
	kindDirectory          // copies of /proc and /sys, or a mount of them
	kindSaved              // an archive
	kindBare               // a copy of /proc/interrupts and nothing else
)

// Open opens a machine: "" or "/" is the live one, "-" a saved machine on standard input, a directory has
// copies of /proc and /sys below it, a file is one made by Save (a tar, plain or compressed by gzip or
// bzip2), or a bare copy of /proc/interrupts, plain or compressed likewise. Links in a directory or a file
// never lead out of it. Something that is no machine is irq.ErrInvalidParameter, with a detail that says what is missing;
// one that may not be read matches fs.ErrPermission.
func Open(name string) (*Root, error) {
	switch name {
	case "", "/":
		return &Root{tree: newLiveTree(), name: "this machine", kind: kindLive, saver: -1}, nil
	case "-":
		return OpenReader("standard input", os.Stdin)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, openError(name, "it cannot be opened", err)
	}
	if info.IsDir() {
		return openDirectory(name)
	}
	if !info.Mode().IsRegular() && info.Mode()&fs.ModeNamedPipe == 0 {
		return nil, openError(name, "it is neither a file nor a directory", nil)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, openError(name, "it cannot be opened", err)
	}
	defer f.Close()
	return OpenReader(name, f)
}

func openDirectory(name string) (*Root, error) {
	dir, err := os.OpenRoot(name)
	if err != nil {
		return nil, openError(name, "it cannot be opened", err)
	}
	r := &Root{tree: dir.FS(), name: name, kind: kindDirectory, saver: -1, closer: dir}
	if _, err := fs.Stat(r.tree, "proc/interrupts"); err != nil {
		dir.Close()
		detail := "it has no proc/interrupts, so it is no machine"
		if _, err := os.Stat(name + "/interrupts"); err == nil {
			detail = "it is a copy of /proc, or of a file of it; name the directory above /proc, or the file"
		}
		return nil, openError(name, detail, err)
	}
	r.readManifest()
	return r, nil
}

// OpenReader is Open on the bytes of a file; name is for messages. It reads to the end at once.
func OpenReader(name string, f io.Reader) (*Root, error) {
	tree, kind, err := readSaved(f)
	if err != nil {
		return nil, openError(name, "it is no saved machine", err)
	}
	r := &Root{tree: tree, name: name, kind: kind, saver: -1}
	r.readManifest()
	return r, nil
}

func openError(name, detail string, err error) error {
	e := &irq.Error{Code: irq.ErrInvalidParameter, Operation: "open machine", Name: name, Reason: irq.ReasonMalformed, Detail: detail, Err: err}
	e.Remedies = []string{"give a directory with copies of /proc and /sys, or a file made by: ivt save FILE"}
	return e
}

// Close gives back what Open took. Machines that were read stay usable.
func (r *Root) Close() error {
	if r.closer == nil {
		return nil
	}
	return r.closer.Close()
}

// Live reports whether r is the running machine.
func (r *Root) Live() bool { return r.kind == kindLive }

// Name returns what Open was given, "this machine" for the live one.
func (r *Root) Name() string { return r.name }

// FS returns the tree, with names like "proc/irq/36/node".
func (r *Root) FS() fs.FS { return r.tree }

// Interrupts parses /proc/interrupts and nothing else, for samplers.
func (r *Root) Interrupts() (*interrupts.Table, error) { return r.table("proc/interrupts", true) }

// Softirqs parses /proc/softirqs. Its columns are the possible CPUs.
func (r *Root) Softirqs() (*interrupts.Table, error) { return r.table("proc/softirqs", true) }

// attempts is how often a live table is read while CPUs come and go under the reader.
const attempts = 3

func (r *Root) table(name string, counts bool) (*interrupts.Table, error) {
	for try := 1; ; try++ {
		t, err := r.tableOnce(name, counts)
		if err != nil {
			return nil, fmt.Errorf("read /%s of %s: %w", name, r.name, err)
		}
		if r.kind != kindLive || len(t.Problems) == 0 || try == attempts {
			return t, nil
		}
	}
}

func (r *Root) tableOnce(name string, counts bool) (*interrupts.Table, error) {
	f, err := r.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !counts {
		return interrupts.ReadTotals(io.LimitReader(f, maxTable))
	}
	return interrupts.Read(io.LimitReader(f, maxTable))
}
