//go:build linux

package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/varlink"
)

// A root is an unpacked systemd with everything that it runs on.
type root struct {
	loader    string
	libraries string // as for --library-path
	folder    string
}

// systemd finds what fetch-varlinkctl.sh has fetched; in CI it is fetched.
func systemd(t *testing.T) root {
	t.Helper()
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(home, ".cache")
	}
	folders, err := filepath.Glob(filepath.Join(cache, "ivt", "foreign", "systemd-*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) == 0 && !ci {
		missing(t, "an unpacked systemd 257", "test/conformance/fetch-varlinkctl.sh")
	}
	got := execute(t, "sh", "fetch-varlinkctl.sh")
	if got.status != 0 {
		t.Fatal(got.stderr)
	}
	return findRoot(t, strings.TrimSpace(got.stdout))
}

func findRoot(t *testing.T, folder string) root {
	t.Helper()
	loaders, err := filepath.Glob(filepath.Join(folder, "usr/lib/*-linux-gnu*/ld-linux*.so.*"))
	if err != nil || len(loaders) == 0 {
		t.Fatalf("no loader in %s, try: delete it", folder)
	}
	libraries := filepath.Dir(loaders[0])
	return root{loaders[0], libraries + ":" + filepath.Join(libraries, "systemd"), folder}
}

// execute runs a program with the root's loader and libraries.
func (r root) execute(t *testing.T, program string, args ...string) outcome {
	t.Helper()
	return execute(t, r.loader, append([]string{"--library-path", r.libraries, program}, args...)...)
}

func (r root) varlinkctl(t *testing.T, args ...string) outcome {
	t.Helper()
	return r.execute(t, filepath.Join(r.folder, "usr/bin/varlinkctl"), append([]string{"--no-pager"}, args...)...)
}

func TestVarlinkctlInfo(t *testing.T) {
	r, address := systemd(t), serve(t)
	got := r.varlinkctl(t, "info", "--json=short", address)
	var info varlink.Info
	if err := json.Unmarshal([]byte(got.stdout), &info); err != nil || got.status != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	if info.Vendor != "Example" || info.Version != "7" || len(info.Interfaces) < 2 {
		t.Errorf("info is %+v", info)
	}
	if got := r.varlinkctl(t, "list-interfaces", address); got.status != 0 || !strings.Contains(got.stdout, "org.example.conformance\n") {
		t.Errorf("list-interfaces: %+v", got)
	}
	if got := r.varlinkctl(t, "list-methods", address); got.status != 0 || !strings.Contains(got.stdout, "org.example.conformance.Open\n") {
		t.Errorf("list-methods: %+v", got)
	}
}

// Both parsers read the same, both printers write the same.
func TestVarlinkctlIntrospect(t *testing.T) {
	r, address := systemd(t), serve(t)
	texts := []string{description}
	for _, file := range ownInterfaces(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	for _, text := range texts {
		iface, err := varlink.ParseInterface(text)
		if err != nil {
			t.Fatal(err)
		}
		got := r.varlinkctl(t, "introspect", address, iface.Name)
		ours := strings.ReplaceAll(iface.String(), "\n#\n", "\n") // theirs drops empty comment lines
		if diff := cmp.Diff(ours, got.stdout); diff != "" || got.status != 0 {
			t.Errorf("introspect %s: status %d, %s\n(-ours +theirs):\n%s", iface.Name, got.status, got.stderr, diff)
		}
	}
}

func TestVarlinkctlValidatesOurInterface(t *testing.T) {
	r := systemd(t)
	for _, file := range ownInterfaces(t) {
		if got := r.varlinkctl(t, "validate-idl", file); got.status != 0 {
			t.Errorf("%s: %+v", file, got)
		}
	}
}

func TestVarlinkctlCall(t *testing.T) {
	r, address := systemd(t), serve(t)
	const name = "org.example.conformance."
	tests := []struct {
		args   []string
		want   string // of standard output
		stderr string // in standard error
		status int
	}{
		{args: []string{name + "Echo", `{"text":"ä\n","colour":"red","map":{"a":-2}}`}, want: `{"text":"ä\n","colour":"red","map":{"a":-2}}` + "\n"},
		{args: []string{"--more", name + "Count", `{"to":3}`}, want: "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n"},
		{args: []string{"--oneway", name + "Echo", `{"text":""}`}},
		{args: []string{name + "Open", `{"n":2}`}, want: `{"indexes":[0,1]}` + "\n"},
		{args: []string{name + "Refuse"}, want: `{"code":763,"remedies":["wait"]}` + "\n", stderr: name + "Refused", status: 1},
		{args: []string{name + "Count", `{"to":3}`}, stderr: "ExpectedMore", status: 1},
		{args: []string{name + "Missing"}, stderr: "MethodNotImplemented", status: 1},
		{args: []string{name + "Nothing"}, stderr: "MethodNotFound", status: 1},
		{args: []string{"org.example.other.Echo"}, stderr: "InterfaceNotFound", status: 1},
		{args: []string{name + "Echo", `{"text":5}`}, stderr: "InvalidParameter", status: 1},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			flags, rest := split(test.args)
			got := r.varlinkctl(t, slices.Concat([]string{"call", "--json=short"}, flags, []string{address}, rest)...)
			got.stdout = strings.ReplaceAll(got.stdout, "\x1e", "") // RFC 7464 sets one before each reply
			if test.status == 0 && got.stdout != test.want || test.status != 0 && !strings.Contains(got.stdout+got.stderr, test.stderr) || got.status != test.status {
				t.Errorf("it did %+v", got)
			}
		})
	}
}

// split separates flags from what follows the address.
func split(args []string) (flags, rest []string) {
	for i, arg := range args {
		if !strings.HasPrefix(arg, "--") {
			return args[:i], args[i:]
		}
	}
	return args, nil
}

// A C program on libsystemd's sd-varlink takes descriptors from our server.
func TestLibsystemdTakesDescriptors(t *testing.T) {
	compiler := program(t, "cc", "apt-get install gcc libc6-dev")
	r := systemd(t)
	client := filepath.Join(t.TempDir(), "take_fds")
	libraries, _, _ := strings.Cut(r.libraries, ":")
	// libsystemd wants a newer libc than the machine may have to link with; it has it when it runs.
	got := execute(t, compiler, "-Wall", "-Werror", "-o", client, "testdata/take_fds.c",
		"-idirafter", filepath.Join(r.folder, "usr/include"),
		filepath.Join(libraries, "libsystemd.so.0"), "-Wl,--unresolved-symbols=ignore-in-shared-libs")
	if got.status != 0 {
		t.Fatal(got.stderr)
	}
	got = r.execute(t, client, serve(t), "3")
	want := outcome{stdout: "refused: org.example.conformance.Refused 763\ncounters: 1 2 3\ncounters: 1\n"}
	if got != want {
		t.Errorf("it did %+v\nwant %+v", got, want)
	}
}
