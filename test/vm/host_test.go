package vm

import (
	"io"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"
)

func TestProgramsOfTheHost(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3; try: apt-get install python3")
	}
	files, err := fromHost(t.Context(), directives{hosts: []string{"sh"}, python: []string{"json"}}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	libc, json, landmark := "", "", ""
	for in, file := range files {
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s: %s is no file: %v", in, file, err)
		}
		switch {
		case strings.HasPrefix(path.Base(in), "libc.so"):
			libc = in
		case strings.HasSuffix(in, "/json/__init__.pyc"):
			json = in
		case path.Base(in) == "os.pyc": // by which Python knows where its library is
			landmark = in
		}
	}
	if files[hostDir+"/sh"] == "" || files[hostDir+"/python3"] == "" || json == "" || landmark == "" || !strings.HasPrefix(libc, "/usr/lib/") {
		t.Errorf("something is missing: %v", files)
	}
	if err := files.hash(io.Discard); err != nil {
		t.Error(err)
	}
	for want, d := range map[string]directives{
		"try: apt-get install no-such-program": {hosts: []string{"no-such-program"}},
		"//vm:python no_such_module":           {python: []string{"no_such_module"}},
		"without //vm:init":                    {hosts: []string{"sh"}, init: "systemd"},
	} {
		if _, err := fromHost(t.Context(), d, t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
