package guest

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ivtd/ivt/test/vm/kmod"
	"github.com/ivtd/ivt/test/vm/monitor"
)

// Inside says whether the program runs in the test VM.
func Inside() bool { return os.Getenv("IVT_VM") == "1" }

// Require skips the test unless it runs in the test VM.
func Require(t testing.TB) {
	t.Helper()
	if !Inside() {
		t.Skip("needs the test VM; try: go run ./test/vm/cmd/vmtest -v -kernel 6.1 ./" + packageDir())
	}
}

// packageDir is where the test runs, relative to the module's root.
func packageDir() string {
	dir, _ := os.Getwd()
	for up := dir; up != "/" && up != "."; up = filepath.Dir(up) {
		if _, err := os.Stat(filepath.Join(up, "go.mod")); err == nil {
			rel, _ := filepath.Rel(up, dir)
			return rel
		}
	}
	return "PACKAGE"
}

// Release returns what uname -r says: "6.1.0-50-amd64".
func Release() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}

// QMP runs a command of QEMU's monitor and returns what it returns.
func QMP(t testing.TB, command string, arguments any) json.RawMessage {
	t.Helper()
	r, err := monitor.Execute(command, arguments)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ExpectLog says that kernel lines which match the regular expression are no
// fault during the package's tests: without it any WARNING, "nobody cared" or
// lock-up fails them.
func ExpectLog(t testing.TB, expr string) {
	t.Helper()
	if err := monitor.Expect(expr); err != nil {
		t.Fatal(err)
	}
}

// Load loads a kernel module with what it needs, or skips the test if the
// kernel has no such module; a driver that is built in counts as loaded if it
// has /sys/bus/*/drivers/NAME or /sys/module/NAME. It stays loaded.
func Load(t testing.TB, modules ...string) {
	t.Helper()
	for _, m := range modules {
		err := kmod.Load(m)
		if errors.Is(err, kmod.ErrAbsent) && builtIn(m) {
			continue
		}
		if errors.Is(err, kmod.ErrAbsent) {
			t.Skipf("this kernel (%s) has no %s", Release(), m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func builtIn(module string) bool {
	name := strings.ReplaceAll(module, "-", "_")
	for _, p := range []string{"/sys/bus/*/drivers/" + module, "/sys/bus/*/drivers/" + name, "/sys/module/" + name} {
		if m, _ := filepath.Glob(p); len(m) > 0 {
			return true
		}
	}
	return false
}

// Limit is how long Eventually and the functions that wait for the kernel do
// so. It is long, since an emulated machine on a busy host is slow.
const Limit = time.Minute

// Eventually polls a condition until it holds and fails the test if it does not
// within [Limit]; what says what was waited for.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(Limit); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", Limit, what)
		}
	}
}
