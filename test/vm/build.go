package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// guestPackage is what a VM test imports.
const guestPackage = "github.com/ivtd/ivt/test/vm/guest"

// testPackage is a package whose tests run in the VM.
type testPackage struct {
	ImportPath, Dir           string
	TestImports, XTestImports []string
	directives                `json:"-"`
}

// builder compiles what goes into the VM, each thing once.
type builder struct {
	root string // of the module
	out  string // folder for what is built

	mu   sync.Mutex
	done map[string]string // what → path
}

func newBuilder(ctx context.Context, out string) (*builder, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOMOD: %w", err)
	}
	return &builder{root: filepath.Dir(strings.TrimSpace(string(mod))), out: out, done: map[string]string{}}, nil
}

// packages resolves patterns to the packages among them that have VM tests.
func (b *builder) packages(ctx context.Context, patterns []string) ([]testPackage, error) {
	args := append([]string{"list", "-e", "-json=ImportPath,Dir,TestImports,XTestImports"}, patterns...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []testPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p testPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if !slices.Contains(append(p.TestImports, p.XTestImports...), guestPackage) {
			continue
		}
		if p.directives, err = readDirectives(p.Dir); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

// test compiles a package's tests.
func (b *builder) test(ctx context.Context, pkg string) (string, error) {
	return b.once("test "+pkg, func(out string) error { return b.goTool(ctx, "test", "-c", "-vet=off", "-o", out, pkg) })
}

// program compiles a Go command, or a folder of C or Rust files: each .c or .rs file of it is a program of its own.
func (b *builder) program(ctx context.Context, name string) (programs []string, err error) {
	dir := filepath.Join(b.root, name)
	for _, language := range []struct {
		suffix  string
		compile func(ctx context.Context, src, out string) error
	}{{".c", compileC}, {".rs", compileRust}} {
		sources, _ := filepath.Glob(filepath.Join(dir, "*"+language.suffix))
		for _, src := range sources {
			p, err := b.once(src, func(out string) error { return language.compile(ctx, src, out) })
			if errors.Is(err, errNoRust) {
				return nil, nil // its tests skip themselves
			}
			if err != nil {
				return nil, err
			}
			programs = append(programs, p)
		}
	}
	if programs != nil {
		return programs, nil
	}
	p, err := b.once("program "+name, func(out string) error { return b.goTool(ctx, "build", "-o", out, "./"+name) })
	return []string{p}, err
}

// once builds what is called key, under its last word, unless it has been.
func (b *builder) once(key string, build func(out string) error) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p, ok := b.done[key]; ok {
		return p, nil
	}
	dir, err := os.MkdirTemp(b.out, "")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, strings.TrimSuffix(strings.TrimSuffix(path.Base(key), ".c"), ".rs"))
	if err := build(out); err != nil {
		return "", err
	}
	b.done[key] = out
	return out, nil
}

// goTool builds statically and without what differs between folders.
func (b *builder) goTool(ctx context.Context, args ...string) error {
	args = slices.Insert(args, len(args)-1, "-trimpath", "-ldflags=-s -w")
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

func compileC(ctx context.Context, src, out string) error {
	cmd := exec.CommandContext(ctx, "gcc", "-O2", "-Wall", "-Wextra", "-static", "-pthread", "-o", out, src)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("gcc %s: %w (try: apt-get install gcc libc6-dev)\n%s", src, err, text)
	}
	return nil
}

// errNoRust: Rust is nothing that this project needs, so its programs are left out where there is no compiler.
var errNoRust = errors.New("no rustc")

func compileRust(ctx context.Context, src, out string) error {
	if _, err := exec.LookPath("rustc"); err != nil {
		return errNoRust
	}
	cmd := exec.CommandContext(ctx, "rustc", "--edition", "2021", "-C", "opt-level=2", "-C", "strip=symbols",
		"-C", "target-feature=+crt-static", "-o", out, src)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("rustc %s: %w\n%s", src, err, text)
	}
	return nil
}
