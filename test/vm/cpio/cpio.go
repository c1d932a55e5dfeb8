// Package cpio writes the archive that a Linux kernel unpacks as its first
// root file system: the "newc" format of
// Documentation/driver-api/early-userspace/buffer-format.rst.
package cpio

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const (
	modeDir  = 0o040000
	modeFile = 0o100000
	modeLink = 0o120000
	modeChar = 0o020000
)

type entry struct {
	mode         uint32
	data         []byte
	file         string // read when written, if data is nil
	major, minor uint32
}

// Archive collects files, which all belong to root. The order in which they
// were added does not matter: the same files make the same bytes.
type Archive struct{ entries map[string]entry }

// New returns an archive with an empty root folder.
func New() *Archive { return &Archive{map[string]entry{}} }

// Dir adds a folder and those above it.
func (a *Archive) Dir(name string) {
	for name = clean(name); name != "." && name != ""; name = path.Dir(name) {
		if _, ok := a.entries[name]; !ok {
			a.entries[name] = entry{mode: modeDir | 0o755}
		}
	}
}

// File adds a file with this content.
func (a *Archive) File(name string, perm fs.FileMode, data []byte) {
	if data == nil {
		data = []byte{}
	}
	a.add(name, entry{mode: modeFile | uint32(perm.Perm()), data: data})
}

// Copy adds a file from disk, which is read when the archive is written.
func (a *Archive) Copy(name, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	a.add(name, entry{mode: modeFile | uint32(info.Mode().Perm()), file: file})
	return nil
}

// Link adds a symbolic link.
func (a *Archive) Link(name, target string) {
	a.add(name, entry{mode: modeLink | 0o777, data: []byte(target)})
}

// Char adds a character device.
func (a *Archive) Char(name string, perm fs.FileMode, major, minor uint32) {
	a.add(name, entry{mode: modeChar | uint32(perm.Perm()), major: major, minor: minor, data: []byte{}})
}

// Has says whether something of that name was added.
func (a *Archive) Has(name string) bool { _, ok := a.entries[clean(name)]; return ok }

// Tree adds all below a folder on disk; device nodes are left out.
func (a *Archive) Tree(name, root string) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		to := path.Join(name, filepath.ToSlash(rel))
		switch {
		case d.IsDir():
			a.Dir(to)
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			a.Link(to, target)
		case d.Type().IsRegular():
			return a.Copy(to, p)
		}
		return nil
	})
}

func (a *Archive) add(name string, e entry) {
	name = clean(name)
	a.Dir(path.Dir(name))
	a.entries[name] = e
}

// clean makes a name relative to the root, as the kernel unpacks it.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// Emit writes the archive. Folders come before what is in them, as names sort.
func (a *Archive) Emit(w io.Writer) error {
	out := &padded{w: w}
	for i, name := range slices.Sorted(maps.Keys(a.entries)) {
		e := a.entries[name]
		if e.data == nil && e.file != "" {
			data, err := os.ReadFile(e.file)
			if err != nil {
				return err
			}
			e.data = data
		}
		out.entry(name, e, i+1)
	}
	out.entry("TRAILER!!!", entry{}, 0)
	return out.err
}

// padded writes and remembers how far it is, since all parts start at
// multiples of four bytes.
type padded struct {
	w   io.Writer
	n   int
	err error
}

func (p *padded) entry(name string, e entry, inode int) {
	links := 1
	if e.mode&0o170000 == modeDir {
		links = 2
	}
	p.write(fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		inode, e.mode, 0, 0, links, 0, len(e.data), 0, 0, e.major, e.minor, len(name)+1, 0))
	p.write([]byte(name + "\x00"))
	p.pad()
	p.write(e.data)
	p.pad()
}

func (p *padded) write(b []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(b)
		p.n += len(b)
	}
}

func (p *padded) pad() { p.write(make([]byte, -p.n&3)) }
