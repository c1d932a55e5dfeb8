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

// program compiles a Go command or a folder of C files: each .c file of it is a
// program of its own.
func (b *builder) program(ctx context.Context, name string) ([]string, error) {
	dir := filepath.Join(b.root, name)
	sources, _ := filepath.Glob(filepath.Join(dir, "*.c"))
	if len(sources) == 0 {
		p, err := b.once("program "+name, func(out string) error { return b.goTool(ctx, "build", "-o", out, "./"+name) })
		return []string{p}, err
	}
	var programs []string
	for _, src := range sources {
		p, err := b.once("C "+src, func(out string) error { return compileC(ctx, src, out) })
		if err != nil {
			return nil, err
		}
		programs = append(programs, p)
	}
	return programs, nil
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
	out := filepath.Join(dir, strings.TrimSuffix(path.Base(key), ".c"))
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
