package daemon

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// place returns the path of a socket in a folder of its own.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// TestOneDaemonPerSocket: the second one is told who serves it, since when.
func TestOneDaemonPerSocket(t *testing.T) {
	socket := place(t)
	lock, err := AcquireLock(socket)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.Listen(socket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = AcquireLock(socket)
	if want := fmt.Sprintf("%s is served already, by pid %d since 20", socket, os.Getpid()); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s…", err, want)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	l.Close()
	lock.Close()
	again, err := AcquireLock(socket)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// TestStaleSocketIsReplaced, and nothing else is: not a socket that somebody serves without our lock, not a file.
func TestStaleSocketIsReplaced(t *testing.T) {
	socket := place(t)
	lock, err := AcquireLock(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = lock.Listen(socket, 0o600)
	if want := fmt.Sprintf("by pid %d, which is not an ivtd with its lock", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a served socket: %v", err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	l, err := lock.Listen(socket, 0o600)
	if err != nil {
		t.Fatalf("a stale socket: %v", err)
	}
	l.Close()
	if err := os.WriteFile(socket, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Listen(socket, 0o600); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: %v", err)
	}
	if text, err := os.ReadFile(socket); err != nil || string(text) != "precious" {
		t.Errorf("the file was touched: %q, %v", text, err)
	}
}

// TestPlacesThatCannotBe says what is wrong with each and what to do.
func TestPlacesThatCannotBe(t *testing.T) {
	dir := filepath.Dir(place(t))
	if _, err := AcquireLock(filepath.Join(dir, "missing", "s")); err == nil || !strings.Contains(err.Error(), "does not exist: create it") {
		t.Errorf("a missing folder: %v", err)
	}
	long := filepath.Join(dir, strings.Repeat("l", 120))
	lock, err := AcquireLock(long)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := lock.Listen(long, 0o600); err == nil || !strings.Contains(err.Error(), "at most 107") {
		t.Errorf("a long path: %v", err)
	}
}

// TestReadOnlyRunDirectory is an error that says so.
func TestReadOnlyRunDirectory(t *testing.T) {
	need(t, os.Geteuid() == 0, "needs to mount a file system, try: sudo go test ./internal/daemon")
	dir := filepath.Dir(place(t))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "ro", "ivt-test", dir).CombinedOutput(); err != nil {
		need(t, false, "cannot mount: "+string(out)+"; try a machine where root may mount")
	}
	defer func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%s: %v", out, err)
		}
	}()
	_, err := AcquireLock(filepath.Join(dir, "s"))
	if err == nil || !strings.Contains(err.Error(), "read-only file system") || !strings.Contains(err.Error(), "--socket") {
		t.Errorf("got %v", err)
	}
}
