package host

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Bounds of an archive from outside: a small file can unpack to anything.
const (
	maxUnpacked = 1 << 30   // bytes of the tar
	maxKept     = 256 << 20 // bytes of the files that are kept
	maxEntries  = 1 << 20
)

var errTooLarge = fmt.Errorf("it unpacks to more than %d MiB", maxUnpacked>>20)

// readSaved reads a tar or a bare /proc/interrupts, plain or compressed. Nothing is written to disk.
func readSaved(f io.Reader) (fs.FS, rootKind, error) {
	in, err := decompress(f)
	if err != nil {
		return nil, 0, err
	}
	head, err := in.Peek(512)
	if len(head) == 0 {
		return nil, 0, fmt.Errorf("it is empty: %w", err)
	}
	if len(head) > 262 && string(head[257:262]) == "ustar" {
		tree, err := readTar(in)
		return tree, kindSaved, err
	}
	if !bytes.Contains(head, []byte("CPU")) {
		return nil, 0, errors.New("it is neither a tar nor a copy of /proc/interrupts")
	}
	b, err := io.ReadAll(in)
	if err != nil {
		return nil, 0, err
	}
	tree := newSavedTree()
	return tree, kindBare, tree.add("proc/interrupts", &savedNode{mode: 0o444, data: b})
}

// decompress knows gzip and bzip2 by their first bytes, and names what it does not know.
func decompress(f io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(f, 64<<10)
	magic, _ := in.Peek(6)
	var unpacked io.Reader = in
	switch {
	case bytes.HasPrefix(magic, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		unpacked = z
	case bytes.HasPrefix(magic, []byte("BZh")):
		unpacked = bzip2.NewReader(in)
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ")):
		return nil, errors.New("it is compressed by xz; unpack it first: xz -d")
	case bytes.HasPrefix(magic, []byte("\x28\xb5\x2f\xfd")):
		return nil, errors.New("it is compressed by zstd; unpack it first: zstd -d")
	}
	return bufio.NewReaderSize(&bounded{unpacked, maxUnpacked}, 64<<10), nil
}

// bounded is a reader that fails rather than ends at its bound.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

func readTar(in io.Reader) (*savedTree, error) {
	a := archive{tree: newSavedTree()}
	for t := tar.NewReader(in); ; {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("damaged archive: %w", err)
		}
		if err := a.add(h, t); err != nil {
			return nil, err
		}
	}
	if a.tree.nodes["proc/interrupts"] == nil {
		return nil, errors.New("the archive has no proc/interrupts")
	}
	return a.tree.sort(), nil
}

// An archive may have everything one directory down, as the archives of support tools have.
type archive struct {
	tree    *savedTree
	prefix  string
	found   bool // prefix is settled
	entries int
	kept    int64
}

func (a *archive) add(h *tar.Header, body io.Reader) error {
	if a.entries++; a.entries > maxEntries {
		return fmt.Errorf("the archive has more than %d entries", maxEntries)
	}
	for part := range strings.SplitSeq(h.Name, "/") {
		if part == ".." {
			return fmt.Errorf("the archive names a file outside itself: %q", h.Name)
		}
	}
	name, ok := a.inside(strings.TrimLeft(path.Clean("/"+h.Name), "/"))
	if !ok {
		return nil
	}
	node := &savedNode{mode: fs.FileMode(h.Mode) & fs.ModePerm}
	switch h.Typeflag {
	case tar.TypeReg:
		data, err := io.ReadAll(io.LimitReader(body, maxKept-a.kept+1))
		if err != nil {
			return fmt.Errorf("damaged archive at %q: %w", h.Name, err)
		}
		if a.kept += int64(len(data)); a.kept > maxKept {
			return fmt.Errorf("the archive has more than %d MiB below proc and sys", maxKept>>20)
		}
		node.data = data
	case tar.TypeDir:
		node.mode |= fs.ModeDir
	case tar.TypeSymlink:
		node.mode, node.link = fs.ModeSymlink|0o777, h.Linkname
	default:
		return nil // devices, pipes and hard links are no part of a machine's picture
	}
	return a.tree.add(name, node)
}

// inside strips the prefix, false for what is not below proc, sys or ivt.
func (a *archive) inside(name string) (string, bool) {
	top, rest, _ := strings.Cut(name, "/")
	if !a.found && !isTop(top) {
		if second, _, _ := strings.Cut(rest, "/"); isTop(second) {
			a.prefix, a.found = top+"/", true
		}
	} else if !a.found {
		a.found = true
	}
	name, ok := strings.CutPrefix(name, a.prefix)
	top, _, _ = strings.Cut(name, "/")
	return name, ok && isTop(top)
}

func isTop(s string) bool { return s == "proc" || s == "sys" || s == "ivt" }
