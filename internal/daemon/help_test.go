package daemon

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/varlink"
)

const sigStop = syscall.SIGSTOP

// need skips a test that cannot run here, and says what would help. In CI nothing may be missing.
func need(t testing.TB, there bool, cure string) {
	t.Helper()
	switch {
	case there:
	case os.Getenv("CI") == "true":
		t.Fatal(cure)
	default:
		t.Skip(cure)
	}
}

// asUser starts a driver as another user.
func asUser(t *testing.T, uid, gid uint32) func(*exec.Cmd) {
	t.Helper()
	need(t, os.Geteuid() == 0, "needs to start a process of another user, try: sudo go test ./internal/daemon")
	return func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, NoSetGroups: false}}
	}
}

func killPID(pid int) { syscall.Kill(pid, syscall.SIGKILL) }

// reported says whether a squatter's report has a text.
func reported(t *testing.T, file, text string) bool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Contains(string(data), text)
}

func closeFD(fd int) error       { return syscall.Close(fd) }
func shutdown(fd int) error      { return syscall.Shutdown(fd, syscall.SHUT_RDWR) }
func shutdownWrite(fd int) error { return syscall.Shutdown(fd, syscall.SHUT_WR) }

// A raw session speaks Varlink without package ivt, as a driver in another language does.
type raw struct{ *varlink.Conn }

func (d *testDaemon) raw(t *testing.T) raw {
	t.Helper()
	c, err := varlink.Dial(t.Context(), d.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return raw{c}
}

// connect returns the reply and all its descriptors, by index.
func (r raw) connect(t *testing.T, vectors ...string) (out api.ConnectOut, fds []int) {
	t.Helper()
	d, err := r.CallDescriptors(context.Background(), api.Name+".Connect", api.ConnectIn{Vectors: vectors}, &out)
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.Len() {
		fd, err := d.Take(i)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	return out, fds
}

func (r raw) closeAll(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}

// call makes a call and returns the error of the interface.
func (r raw) call(t *testing.T, method string, in, out any) error {
	t.Helper()
	return r.Call(t.Context(), api.Name+"."+method, in, out)
}
