package structure

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ivtd/ivt"

// layers are the folders from the top down: a package imports only from layers below its own, or from the
// same layer where that says so. A folder stands for itself and what is below it.
var layers = []struct {
	folders []string
	inside  bool // packages of this layer may import each other
}{
	{folders: []string{"cmd", "bench", "examples", "test"}, inside: true},
	{folders: []string{"internal/page", "internal/top", "internal/metrics", "internal/daemon", "internal/doctor"}, inside: true},
	{folders: []string{"internal/picture"}},
	{folders: []string{"."}},
	{folders: []string{"internal/host", "source", "internal/keeper", "internal/history"}, inside: true},
	{folders: []string{"varlink", "irq", "api", "internal/bury", "internal/record", "internal/term", "internal/version"}, inside: true},
	{folders: []string{"internal/kernel"}, inside: true},
}

type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	c := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	c.Dir = "../.."
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			for _, some := range []string{"/irq", "/irq/irqtest", "/cmd/ivt"} { // tests look for these by name
				if !slices.ContainsFunc(all, func(p listed) bool { return p.ImportPath == module+some }) {
					t.Fatalf("there is no package %s", module+some)
				}
			}
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func layerOf(path string) int {
	folder := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
	best, length := -1, -1
	for i, layer := range layers {
		for _, f := range layer.folders {
			if f == "." && folder == "" {
				return i
			}
			if (folder == f || strings.HasPrefix(folder, f+"/")) && len(f) > length {
				best, length = i, len(f)
			}
		}
	}
	return best
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		from := layerOf(p.ImportPath)
		if from < 0 {
			t.Errorf("%s is in no layer: say in this test where it stands", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			if i != module && !strings.HasPrefix(i, module+"/") {
				continue
			}
			to := layerOf(i)
			if to < from || to == from && !layers[from].inside {
				t.Errorf("%s imports %s, which stands above it", p.ImportPath, i)
			}
		}
	}
}

func TestRegistryNeedsTheStandardLibraryOnly(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"/irq" && p.ImportPath != module+"/irq/irqtest" {
			continue
		}
		for _, i := range p.Imports {
			if strings.Contains(i, ".") && !strings.HasPrefix(i, module+"/irq") {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
			if i == "unsafe" || i == "net" || i == "os/exec" {
				t.Errorf("%s does input and output: %s", p.ImportPath, i)
			}
		}
	}
}

// TestSystemCallsAreInOnePlace: unsafe and raw system calls are in internal/kernel; the exceptions have their reason.
func TestSystemCallsAreInOnePlace(t *testing.T) {
	allowed := map[string]string{
		module + "/varlink":       "sends and receives descriptors on its own sockets",
		module + "/internal/term": "asks the terminal for its width",
	}
	for _, p := range packages(t) {
		if strings.HasPrefix(p.ImportPath, module+"/internal/kernel") || strings.HasPrefix(p.ImportPath, module+"/test") ||
			strings.HasPrefix(p.ImportPath, module+"/examples") || strings.HasPrefix(p.ImportPath, module+"/bench") || allowed[p.ImportPath] != "" {
			continue
		}
		for _, i := range []string{"unsafe", "golang.org/x/sys/unix"} {
			if slices.Contains(p.Imports, i) {
				t.Errorf("%s imports %s; put the call into internal/kernel", p.ImportPath, i)
			}
		}
	}
}
