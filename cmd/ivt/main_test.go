package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// programs is a folder with ivt and ivtd, built once, where every user may run them.
var programs string

var build = sync.OnceValue(func() (err error) {
	if programs, err = os.MkdirTemp("", "ivt"); err != nil {
		return err
	}
	if err := os.Chmod(programs, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("go", "build", "-o", programs, ".", "../ivtd").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
})

// program returns the path of one of them.
func program(t *testing.T, name string) string {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return programs + "/" + name
}

func TestMain(m *testing.M) {
	status := m.Run()
	if programs != "" {
		os.RemoveAll(programs)
	}
	os.Exit(status)
}
