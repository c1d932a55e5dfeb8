package bind

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A machine is the tree that is looked at and written to.
type machine struct {
	root  string
	take  func(Step) error // writes; a test puts a kernel here
	notes []string
}

func newMachine(root string) *machine {
	if root == "" {
		root = "/"
	}
	m := &machine{root: root}
	m.take = m.apply
	return m
}

// live reports whether the tree is this machine's own.
func (m *machine) live() bool { return filepath.Clean(m.root) == "/" }

func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

// note adds something to know, once.
func (m *machine) note(text string) {
	for _, n := range m.notes {
		if n == text {
			return
		}
	}
	m.notes = append(m.notes, text)
}

// text returns a file without the spaces around it, "" if it cannot be read.
func (m *machine) text(name string) string {
	raw, _ := os.ReadFile(m.path(name))
	return strings.TrimSpace(string(raw))
}

// link returns the last part of where a link points, "" if there is none: the driver, the group, the subsystem.
func (m *machine) link(name string) string {
	target, err := os.Readlink(m.path(name))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// names lists a folder, empty if it cannot be read.
func (m *machine) names(name string) []string {
	entries, _ := os.ReadDir(m.path(name))
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

func (m *machine) exists(name string) bool {
	_, err := os.Lstat(m.path(name))
	return err == nil
}

// real resolves links and returns the name below the root.
func (m *machine) real(name string) (string, error) {
	path, err := filepath.EvalSymlinks(m.path(name))
	if err != nil {
		return "", err
	}
	root, err := filepath.EvalSymlinks(m.root)
	if err != nil {
		return "", err
	}
	below, err := filepath.Rel(root, path)
	return "/" + below, err
}

// writable asks whether an attribute may be written, without writing. One that is not there yet is not asked.
func (m *machine) writable(name string) error {
	f, err := os.OpenFile(m.path(name), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// apply takes one step.
func (m *machine) apply(s Step) error {
	switch s.Kind {
	case Create:
		return m.create(s.Path, s.Value)
	case Remove:
		return m.remove(s.Path)
	}
	return m.write(s.Path, s.Value)
}

// write writes an attribute in one call, as sysfs wants it.
func (m *machine) write(name, value string) error {
	f, err := os.OpenFile(m.path(name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// create writes a file whole or not at all, with the folders that it needs.
func (m *machine) create(name, value string) error {
	path := m.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".ivt-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// remove removes a file of ours; one that is gone is as good.
func (m *machine) remove(name string) error {
	err := os.Remove(m.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
