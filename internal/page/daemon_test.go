package page

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// An ivtd is the real one, which a test may kill and start again.
type ivtd struct {
	t           *testing.T
	dir, socket string
	args        []string
	process     *exec.Cmd
}

// startDaemon builds and runs the real ivtd with a policy.
func startDaemon(t *testing.T, policy string, args ...string) *ivtd {
	t.Helper()
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if _, err := program(); err != nil {
		t.Fatal(err)
	}
	d := &ivtd{t: t, dir: dir, socket: filepath.Join(dir, "s"), args: args}
	if err := os.WriteFile(filepath.Join(dir, "ivtd.toml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	t.Cleanup(func() { d.process.Process.Signal(os.Interrupt); d.process.Wait() })
	return d
}

// program builds ivtd once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		return "", err
	}
	builtIn = dir
	name := filepath.Join(dir, "ivtd")
	if out, err := exec.Command("go", "build", "-o", name, "../../cmd/ivtd").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ivtd: %w\n%s", err, out)
	}
	return name, nil
})

var builtIn string // the folder of program

// driver has a process of that name connect to a vector: in the picture drivers look like drivers. It returns when it was answered.
func driver(t *testing.T, name, vector string) {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), driverVariable+"="+name+" "+vector)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	out.Read(make([]byte, 1))
}

const driverVariable = "IVT_PAGE_TEST_DRIVER"

func drive(name, vector string) {
	os.WriteFile(fmt.Sprintf("/proc/self/task/%d/comm", os.Getpid()), []byte(name), 0)
	c, err := ivt.Connect(context.Background(), vector)
	fmt.Println(err)
	if err == nil {
		c.Handle(context.Background(), func(ivt.Interrupt) irq.Verdict { return irq.Handled })
	}
}

func (d *ivtd) start() {
	d.t.Helper()
	name, err := program()
	if err != nil {
		d.t.Fatal(err)
	}
	d.process = exec.Command(name, append([]string{"--socket", d.socket, "--config", filepath.Join(d.dir, "ivtd.toml")}, d.args...)...)
	if err := d.process.Start(); err != nil {
		d.t.Fatal(err)
	}
	within(d.t, 30*time.Second, "ivtd to serve", func() bool { return d.worker() != 0 })
}

// worker is the process that serves, 0 if none does.
func (d *ivtd) worker() int {
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	c, err := ivt.Dial(ctx, ivt.Socket(d.socket))
	if err != nil {
		return 0
	}
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil {
		return 0
	}
	return s.PID
}

// killWorker returns when the next one serves.
func (d *ivtd) killWorker() {
	d.t.Helper()
	before := d.worker()
	if before == 0 || before == d.process.Process.Pid {
		d.t.Fatal("there is no worker")
	}
	syscall.Kill(before, syscall.SIGKILL)
	within(d.t, 30*time.Second, "the next worker", func() bool { now := d.worker(); return now != 0 && now != before })
}

// kill ends keeper and worker as the system does when it has no memory.
func (d *ivtd) kill() {
	d.t.Helper()
	d.process.Process.Kill()
	d.process.Wait()
	within(d.t, 30*time.Second, "the worker to follow its keeper", func() bool { return d.worker() == 0 })
}
