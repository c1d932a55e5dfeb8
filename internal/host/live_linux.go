package host

import (
	"io/fs"
	"os"

	"github.com/ivtd/ivt/internal/kernel"
)

// liveTree is the running machine's. Package os would ask Go's poller to watch each file of /proc and /sys, with five more
// calls than it takes to read one, and a list reads some for each device.
type liveTree struct{ dirTree }

// dirTree is what os.DirFS has.
type dirTree interface {
	fs.ReadDirFS
	fs.ReadFileFS
	fs.ReadLinkFS
	fs.StatFS
}

func newLiveTree() fs.FS { return liveTree{os.DirFS("/").(dirTree)} }

// Open implements fs.FS.
func (liveTree) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	fd, err := kernel.OpenToRead("/" + name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// ReadFile implements fs.ReadFileFS.
func (liveTree) ReadFile(name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	b, err := kernel.ReadFile("/" + name)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return b, nil
}
