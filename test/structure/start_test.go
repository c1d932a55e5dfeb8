package structure

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notInIvt are packages that ivt does without: each start would pay for what they prepare.
var notInIvt = map[string]string{
	module + "/internal/daemon":           "ivtd is another program; where it has its files says internal/daemon/places",
	module + "/internal/metrics/scrape":   "serving metrics is for ivtd; internal/metrics writes them",
	"github.com/prometheus/client_golang": "it takes a third of a start; internal/metrics writes the text format itself",
	"google.golang.org/protobuf":          "it comes with Prometheus' library",
	"github.com/spf13/cobra/doc":          "manual pages are written by the program that make man builds",
	"github.com/cilium/ebpf/rlimit":       "it makes a BPF map at each start, to see whether the limit counts",
	"github.com/coreos/go-systemd/v22":    "socket activation is for ivtd",
	"github.com/russross/blackfriday/v2":  "it comes with cobra/doc",
	"github.com/prometheus/procfs":        "internal/host reads /proc",
	"go.yaml.in/yaml/v3":                  "it comes with cobra/doc",
	"github.com/prometheus/common":        "it comes with Prometheus' library",
}

func TestIvtDoesWithout(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"/cmd/ivt" {
			continue
		}
		for _, dep := range p.Deps {
			for unwanted, why := range notInIvt {
				if dep == unwanted || strings.HasPrefix(dep, unwanted+"/") && !strings.HasPrefix(dep, module) {
					t.Errorf("ivt has %s in it: %s", dep, why)
				}
			}
		}
	}
}

// inits is a line of GODEBUG=inittrace=1 (package runtime).
var inits = regexp.MustCompile(`(?m)^init (\S+) .* (\d+) bytes, (\d+) allocs$`)

// TestIvtStartsWithLittle counts what packages allocate before main: a number that does not depend on the machine, as time
// would. Tables that a command may need belong into sync.OnceValue.
func TestIvtStartsWithLittle(t *testing.T) {
	const most, mostOfOurs = 1000, 50
	program := filepath.Join(t.TempDir(), "ivt")
	build := exec.Command("go", "build", "-o", program, "./cmd/ivt")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	c := exec.Command(program, "version")
	c.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	type cost struct {
		allocs int
		name   string
	}
	var all []cost
	total := 0
	for _, m := range inits.FindAllStringSubmatch(string(out), -1) {
		one := cost{name: m[1]}
		fmt.Sscan(m[3], &one.allocs)
		all, total = append(all, one), total+one.allocs
		if strings.HasPrefix(one.name, module) && one.allocs > mostOfOurs {
			t.Errorf("%s allocates %d times before main, which is more than %d", one.name, one.allocs, mostOfOurs)
		}
	}
	slices.SortFunc(all, func(a, b cost) int { return b.allocs - a.allocs })
	if len(all) == 0 {
		t.Fatalf("no traces in\n%s", out)
	}
	if total > most {
		t.Errorf("%d allocations before main, which is more than %d; the most are of %v", total, most, all[:min(10, len(all))])
	}
}
