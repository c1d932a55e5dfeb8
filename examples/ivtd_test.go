// Package examples tests what of the examples needs no device, beside the folders' own tests; test/vm/examples runs the others.
package examples

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ivtd/ivt"
)

// bin is where ivt and ivtd are.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "ivt"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(bin)
		if out, err := exec.Command("go", "build", "-o", bin, "../cmd/ivt", "../cmd/ivtd").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// limit is for what must happen at some time.
const limit = 60 * time.Second

// serve starts an ivtd, and returns its client and the environment for programs that use it.
func serve(t *testing.T) (*ivt.Client, []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	env := append(os.Environ(), "IVT_SOCKET="+socket, "XDG_CONFIG_HOME="+dir, "PATH="+bin+":"+os.Getenv("PATH"))
	daemon := exec.Command(filepath.Join(bin, "ivtd"), "--socket", socket)
	daemon.Env = env
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Process.Signal(os.Interrupt); daemon.Wait() })
	client, err := ivt.NewClient(ivt.Socket(socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	await(t, "ivtd answers", func() bool { _, err := client.Status(t.Context()); return err == nil })
	return client, env
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(limit); !holds(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// need skips the test where a program is missing, and says which package has it.
func need(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" && program != "rustc" { // Rust only where it is
		t.Fatalf("no %s; try: apt-get install %s", program, pkg)
	}
	t.Skipf("no %s; try: apt-get install %s", program, pkg)
}
