package host

import (
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Bounds of what is read from a tree that somebody else made.
const (
	maxTable = 1 << 30 // /proc/interrupts: 8,192 CPUs with 10,000 irqs
	maxSmall = 4 << 20 // any other file; debugfs's largest are some hundred KB
)

var errNoFile = errors.New("not a regular file")

// open opens a regular file. In a directory that somebody made, a named pipe would never return.
func (r *Root) open(name string) (fs.File, error) {
	if r.kind == kindDirectory {
		if info, err := fs.Stat(r.tree, name); err != nil {
			return nil, err
		} else if !info.Mode().IsRegular() {
			return nil, &fs.PathError{Op: "open", Path: name, Err: errNoFile}
		}
	}
	return r.tree.Open(name)
}

func (r *Root) read(name string) ([]byte, error) {
	if r.kind == kindLive {
		return fs.ReadFile(r.tree, name)
	}
	f, err := r.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSmall))
}

// text returns a file without the blanks and newlines at its end.
func (r *Root) text(name string) (string, error) {
	b, err := r.read(name)
	return strings.TrimRight(string(b), " \n\x00"), err
}

// textOr is text, "" if the file cannot be read.
func (r *Root) textOr(name string) string {
	s, err := r.text(name)
	if err != nil {
		return ""
	}
	return s
}

// number returns the decimal number in a file, or the default.
func (r *Root) number(name string, otherwise int) int {
	if n, err := strconv.Atoi(r.textOr(name)); err == nil {
		return n
	}
	return otherwise
}

// names returns the names in a directory, none if it cannot be read.
func (r *Root) names(dir string) []string {
	entries, err := fs.ReadDir(r.tree, dir)
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

func (r *Root) link(name string) string {
	target, err := fs.ReadLink(r.tree, name)
	if err != nil {
		return ""
	}
	return target
}

// linkBase returns the last element of what a link names, "" if it cannot be read.
func (r *Root) linkBase(name string) string {
	target := r.link(name)
	return target[strings.LastIndexByte(target, '/')+1:]
}

// exists asks for the name itself: what a link of a saved machine names need not be saved.
func (r *Root) exists(name string) bool {
	_, err := fs.Lstat(r.tree, name)
	return err == nil
}

// eachPair reads lines of "key: value" or "key=value" and calls f for each.
func eachPair(text, separator string, f func(key, value string)) {
	for line := range strings.SplitSeq(text, "\n") {
		if key, value, ok := strings.Cut(line, separator); ok {
			f(strings.TrimSpace(key), strings.TrimSpace(value))
		}
	}
}

// manifest is the file of a saved machine about itself.
const manifest = "ivt/machine"

func (r *Root) readManifest() {
	eachPair(r.textOr(manifest), "=", func(key, value string) {
		switch key {
		case "taken":
			if t, err := time.Parse(time.RFC3339Nano, value); err == nil {
				r.taken = t
			}
		case "uid":
			if uid, err := strconv.Atoi(value); err == nil {
				r.saver = uid
			}
		}
	})
}
