package host

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// A savedTree is a tree in memory: an fs.FS with links, which never lead out of it. It is filled once and
// then only read.
type savedTree struct{ nodes map[string]*savedNode }

type savedNode struct {
	mode     fs.FileMode
	data     []byte
	link     string
	children []string
}

func newSavedTree() *savedTree {
	return &savedTree{nodes: map[string]*savedNode{".": {mode: fs.ModeDir | 0o555}}}
}

// add puts a node at a clean name, with the directories above it. A directory may be said twice.
func (t *savedTree) add(name string, n *savedNode) error {
	if old := t.nodes[name]; old != nil {
		if old.mode.IsDir() && n.mode.IsDir() {
			return nil
		}
		return fmt.Errorf("%q is there twice", name)
	}
	dir := path.Dir(name)
	if t.nodes[dir] == nil {
		if err := t.add(dir, &savedNode{mode: fs.ModeDir | 0o555}); err != nil {
			return err
		}
	}
	parent := t.nodes[dir]
	if !parent.mode.IsDir() {
		return fmt.Errorf("%q is below something that is no directory", name)
	}
	parent.children = append(parent.children, path.Base(name))
	t.nodes[name] = n
	return nil
}

// sort orders each directory; after it the tree is only read.
func (t *savedTree) sort() *savedTree {
	for _, n := range t.nodes {
		slices.Sort(n.children)
	}
	return t
}

const maxLinks = 40 // as in Linux, path_resolution(7)

// find resolves a name, following links in all but the last element, and there if follow is set.
func (t *savedTree) find(op, name string, follow bool) (*savedNode, string, error) {
	fail := func(err error) (*savedNode, string, error) {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: err}
	}
	if !fs.ValidPath(name) {
		return fail(fs.ErrInvalid)
	}
	at, todo := ".", strings.Split(name, "/")
	for links := 0; len(todo) > 0; {
		next := path.Join(at, todo[0])
		if next == ".." || strings.HasPrefix(next, "../") {
			return fail(fs.ErrNotExist) // out of the tree
		}
		todo = todo[1:]
		n := t.nodes[next]
		switch {
		case n == nil:
			return fail(fs.ErrNotExist)
		case n.link == "" || len(todo) == 0 && !follow:
			at = next
		case links == maxLinks:
			return fail(fmt.Errorf("more than %d links", maxLinks))
		case path.IsAbs(n.link):
			return fail(fs.ErrNotExist)
		default:
			links++
			todo = append(strings.Split(n.link, "/"), todo...)
		}
	}
	return t.nodes[at], at, nil
}

// Open implements fs.FS.
func (t *savedTree) Open(name string) (fs.File, error) {
	n, _, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	info := savedInfo{path.Base(name), n}
	if !n.mode.IsDir() {
		return &savedFile{info, bytes.NewReader(n.data)}, nil
	}
	entries, err := t.ReadDir(name)
	return &savedDir{info, entries}, err
}

// ReadFile implements fs.ReadFileFS.
func (t *savedTree) ReadFile(name string) ([]byte, error) {
	n, _, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if n.mode.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errNoFile}
	}
	return bytes.Clone(n.data), nil
}

// ReadDir implements fs.ReadDirFS.
func (t *savedTree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, at, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if !n.mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	entries := make([]fs.DirEntry, len(n.children))
	for i, child := range n.children {
		entries[i] = fs.FileInfoToDirEntry(savedInfo{child, t.nodes[path.Join(at, child)]})
	}
	return entries, nil
}

// Stat implements fs.StatFS.
func (t *savedTree) Stat(name string) (fs.FileInfo, error) { return t.info("stat", name, true) }

// Lstat implements fs.ReadLinkFS.
func (t *savedTree) Lstat(name string) (fs.FileInfo, error) { return t.info("lstat", name, false) }

// ReadLink implements fs.ReadLinkFS.
func (t *savedTree) ReadLink(name string) (string, error) {
	n, _, err := t.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.link == "" {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.link, nil
}

func (t *savedTree) info(op, name string, follow bool) (fs.FileInfo, error) {
	n, _, err := t.find(op, name, follow)
	if err != nil {
		return nil, err
	}
	return savedInfo{path.Base(name), n}, nil
}

type savedInfo struct {
	name string
	node *savedNode
}

func (i savedInfo) Name() string       { return i.name }
func (i savedInfo) Size() int64        { return int64(len(i.node.data)) }
func (i savedInfo) Mode() fs.FileMode  { return i.node.mode }
func (i savedInfo) ModTime() time.Time { return time.Time{} }
func (i savedInfo) IsDir() bool        { return i.node.mode.IsDir() }
func (i savedInfo) Sys() any           { return nil }

type savedFile struct {
	savedInfo
	*bytes.Reader
}

func (f *savedFile) Stat() (fs.FileInfo, error) { return f.savedInfo, nil }
func (f *savedFile) Close() error               { return nil }
func (f *savedFile) Size() int64                { return f.savedInfo.Size() }

// A savedDir is an open directory with the entries that are left to read.
type savedDir struct {
	savedInfo
	left []fs.DirEntry
}

func (d *savedDir) Stat() (fs.FileInfo, error) { return d.savedInfo, nil }
func (d *savedDir) Close() error               { return nil }

func (d *savedDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errNoFile}
}

// ReadDir implements fs.ReadDirFile.
func (d *savedDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(d.left) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.left) {
		n = len(d.left)
	}
	entries := d.left[:n]
	d.left = d.left[n:]
	return entries, nil
}
