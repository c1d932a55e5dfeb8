package main

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ivtd/ivt/irq"
)

// TestCallersFromOutsideThePidNamespace are refused: to an ivtd in a pid namespace they all have the number 0, which
// must not be taken for a process, nor for the kernel.
func TestCallersFromOutsideThePidNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		const cure = "needs to make a pid namespace, try: sudo go test ./cmd/ivtd"
		if os.Getenv("CI") == "true" {
			t.Fatal(cure)
		}
		t.Skip(cure)
	}
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &running{t: t, socket: filepath.Join(dir, "s")}
	r.write(demo)
	r.Cmd = ivtd("--no-keeper", "--socket", r.socket, "--config", r.config(), "--log-format", "json")
	r.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	pipe, err := r.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.log = bufio.NewScanner(pipe)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Process.Kill(); r.Wait() })
	r.until(`"msg":"serving"`)
	_, err = r.client().Connect(t.Context(), "soft:demo/1")
	var e *irq.Error
	if !errors.As(err, &e) || e.Code != irq.ErrAccessDenied || !strings.Contains(e.Detail, "pid namespace") {
		t.Errorf("got %v", err)
	}
}
