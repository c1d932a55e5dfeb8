package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ivtd/ivt/test/vm/cpio"
)

// hostDir is where the programs of //vm:host and //vm:python are, apart from those that other tests of the same machine use.
const hostDir = "/work/host"

// hostFiles are files of this machine by their paths in the VM.
type hostFiles map[string]string

// fromHost finds what a package's //vm:host and //vm:python name: programs as they are, with the
// libraries that they load. What has to be made for that goes into dir.
func fromHost(ctx context.Context, d directives, dir string) (hostFiles, error) {
	files := hostFiles{}
	if (len(d.hosts) > 0 || len(d.python) > 0) && d.init != "" {
		return nil, fmt.Errorf("//vm:host and //vm:python are for machines without //vm:init, which has libraries of its own")
	}
	for _, name := range d.hosts {
		program, err := exec.LookPath(name)
		if err != nil {
			return nil, fmt.Errorf("//vm:host %s: %w; try: apt-get install %s", name, err, name)
		}
		if err := files.program(ctx, name, program); err != nil {
			return nil, err
		}
	}
	if len(d.python) == 0 {
		return files, nil
	}
	return files, files.interpreter(ctx, d.python, filepath.Join(dir, "python"))
}

// program adds an executable, under a name.
func (f hostFiles) program(ctx context.Context, name, file string) error {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	f[path.Join(hostDir, name)] = real
	return f.libraries(ctx, real)
}

// libraries adds what ldd says that a file needs. It fails for what is linked statically, which needs nothing.
func (f hostFiles) libraries(ctx context.Context, file string) error {
	out, err := exec.CommandContext(ctx, "ldd", file).CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("not a dynamic executable")) {
		return fmt.Errorf("ldd %s: %w\n%s", file, err, out)
	}
	for line := range strings.Lines(string(out)) {
		for _, word := range strings.Fields(line) {
			if path.IsAbs(word) {
				f.at(word)
			}
		}
	}
	return nil
}

// at adds a file at its own path, in a machine where /lib is a link to /usr/lib.
func (f hostFiles) at(file string) {
	in := path.Clean(file)
	if strings.HasPrefix(in, "/lib") {
		in = "/usr" + in
	}
	f[in] = file
}

// importing prints the interpreter, and the files of all modules that are loaded in order to import some. What is source it
// compiles into a folder, since the VM is slow.
const importing = `import sys, json, os
for m in sys.argv[2:]: __import__(m)
files = {m.__file__ for m in list(sys.modules.values()) if os.path.exists(getattr(m, "__file__", None) or "")}
import py_compile
def compiled(f): return py_compile.compile(f, cfile=sys.argv[1] + f + "c", doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
print(json.dumps({"python": sys.executable, "files": {f + "c" * f.endswith(".py"): compiled(f) if f.endswith(".py") else f for f in sorted(files)}}))`

// interpreter adds Python with what it loads in order to import modules.
func (f hostFiles) interpreter(ctx context.Context, modules []string, dir string) error {
	out, err := exec.CommandContext(ctx, "python3", append([]string{"-I", "-S", "-c", importing, dir}, modules...)...).Output()
	if err != nil {
		return fmt.Errorf("//vm:python %s: %w; try: apt-get install python3", strings.Join(modules, " "), err)
	}
	var found struct {
		Python string
		Files  hostFiles
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return fmt.Errorf("//vm:python: %w", err)
	}
	if err := f.program(ctx, "python3", found.Python); err != nil {
		return err
	}
	for in, file := range found.Files {
		f[in] = file
		if strings.HasSuffix(file, ".so") {
			if err := f.libraries(ctx, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// add puts the files into an archive.
func (f hostFiles) add(a *cpio.Archive) error {
	for _, in := range slices.Sorted(maps.Keys(f)) {
		if err := a.Copy(in, f[in]); err != nil {
			return err
		}
	}
	return nil
}

// hash adds paths and contents to a key.
func (f hostFiles) hash(w io.Writer) error {
	for _, in := range slices.Sorted(maps.Keys(f)) {
		fmt.Fprint(w, in, " ")
		if err := hashFiles(w, f[in]); err != nil {
			return err
		}
	}
	return nil
}
