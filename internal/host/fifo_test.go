//go:build unix

package host_test

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/ivtd/ivt/internal/host"
)

// A named pipe in a directory from somebody else must not hang the reader.
func TestDirectoryWithOddFiles(t *testing.T) {
	dir := unpack(t, "riscv")
	os.Remove(dir + "/proc/sys/kernel/osrelease")
	if err := syscall.Mkfifo(dir+"/proc/sys/kernel/osrelease", 0o600); err != nil {
		t.Skip("no named pipes here; try: a file system that has them")
	}
	r, err := host.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if m, err := r.Read(context.Background(), host.Options{Parts: host.PartAll}); err != nil || m.Kernel != "" {
		t.Error(err)
	}
}
