package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/ivtd/ivt/internal/daemon"
	"github.com/ivtd/ivt/internal/daemon/policy"
)

// The program is also each of the processes that it measures; this variable says which.
const roleVariable = "IVT_BENCH_ROLE"

var roles = map[string]func() error{
	"ivtd": serveIvtd, "echo": serveEcho, "dbus": serveBus, "waker": wake, "holder": hold, "crowd": crowd, "runner": runPrograms,
	"watchers": watchAll, "viewers": viewAll,
}

// start starts this program in a role, and returns when it has said that it is ready.
func (b *bench) start(role string, files []*os.File, environ ...string) (*exec.Cmd, error) {
	c := exec.Command("/proc/self/exe")
	c.Env = append(append(os.Environ(), roleVariable+"="+role), environ...)
	c.ExtraFiles = files
	return c, b.launch(c)
}

// launch starts a process on the CPU of those who answer. It prints a line when it is ready, and is ended with the row.
func (b *bench) launch(c *exec.Cmd) error {
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.startOn(answeringCPU, c); err != nil {
		return err
	}
	b.later(func() {
		in.Close()
		c.Process.Kill()
		c.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return fmt.Errorf("%s did not start: %w", c.Path, err)
	}
	return nil
}

// ready says that this process serves, and waits until nobody needs it any more.
func ready() {
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}

// whole starts the real ivtd, keeper and worker, with soft:bench of that many vectors.
func (b *bench) whole(vectors int) (socket string, process *exec.Cmd, err error) {
	return b.wholeWith(vectors, nil)
}

// wholeWith is whole with more flags, which may depend on the folder that is ivtd's.
func (b *bench) wholeWith(vectors int, more func(dir string) []string) (socket string, process *exec.Cmd, err error) {
	program, err := ivtdProgram()
	if err != nil {
		return "", nil, err
	}
	dir, err := b.folder()
	if err != nil {
		return "", nil, err
	}
	config := filepath.Join(dir, "ivtd.toml")
	text := fmt.Sprintf("[soft.bench]\nvectors = %d\nshareable = true\n", vectors)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	socket = filepath.Join(dir, "s")
	process = exec.Command(program, "--socket", socket, "--config", config)
	if more != nil {
		process.Args = append(process.Args, more(dir)...)
	}
	log, err := process.StderrPipe()
	if err != nil {
		return "", nil, err
	}
	if err := b.startOn(answeringCPU, process); err != nil {
		return "", nil, err
	}
	b.later(func() {
		process.Process.Signal(syscall.SIGTERM)
		process.Wait()
	})
	return socket, process, served(log)
}

// served reads the log until ivtd serves, and then whatever comes, so that ivtd never waits for us.
func served(log io.Reader) error {
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "msg=serving") {
			go io.Copy(io.Discard, log)
			return nil
		}
	}
	return fmt.Errorf("ivtd ended before it served: %w", lines.Err())
}

// ivtdProgram builds the command once.
var ivtdProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ivt") // left to the system: it is needed to the end
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "ivtd")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/ivtd/ivt/cmd/ivtd").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ivtd: %w: %s", err, out)
	}
	return program, nil
})

// ivtd starts a daemon of one process with soft:bench of that many vectors, and returns its socket.
func (b *bench) ivtd(vectors int) (socket string, process *exec.Cmd, err error) {
	dir, err := b.folder()
	if err != nil {
		return "", nil, err
	}
	socket = filepath.Join(dir, "s")
	process, err = b.start("ivtd", nil, "IVT_SOCKET="+socket, "IVT_BENCH_VECTORS="+strconv.Itoa(vectors))
	return socket, process, err
}

func (b *bench) folder() (string, error) {
	dir, err := os.MkdirTemp("", "ivt")
	b.later(func() { os.RemoveAll(dir) })
	return dir, err
}

// serveIvtd is the daemon. SIGUSR1 makes it give back what the garbage collector can.
func serveIvtd() error {
	vectors, err := strconv.Atoi(os.Getenv("IVT_BENCH_VECTORS"))
	if err != nil {
		return err
	}
	p := policy.Default(os.Geteuid())
	p.Softs = []policy.Soft{{Name: "soft:bench", Settings: map[string]any{"vectors": vectors, "shareable": true}}}
	p.Limits.SessionsPerUser = 0
	s, err := daemon.New(daemon.Config{Policy: p, Owner: os.Geteuid()})
	if err != nil {
		return err
	}
	socket := os.Getenv("IVT_SOCKET")
	lock, err := daemon.AcquireLock(socket)
	if err != nil {
		return err
	}
	l, err := lock.Listen(socket, 0o600)
	if err != nil {
		return err
	}
	collect := make(chan os.Signal, 1)
	signal.Notify(collect, syscall.SIGUSR1)
	go func() {
		for range collect {
			debug.FreeOSMemory()
		}
	}()
	go s.Serve(l)
	ready()
	return s.Close(context.Background())
}

// share returns the memory of a process and its children, in which what processes share counts once (Pss of
// proc_pid_smaps_rollup(5)).
func share(pid int) (float64, error) {
	total, err := kilobytes("/proc/"+strconv.Itoa(pid)+"/smaps_rollup", "Pss:")
	if err != nil {
		return 0, err
	}
	children, err := childrenOf(pid)
	for _, child := range children {
		more, failed := share(child)
		total, err = total+more, errors.Join(err, failed)
	}
	return total, err
}

// childrenOf returns the processes that any thread of a process started, proc_tid_children(5).
func childrenOf(pid int) (pids []int, err error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, failed := os.ReadFile(list)
		err = errors.Join(err, failed)
		for _, child := range strings.Fields(string(text)) {
			n, failed := strconv.Atoi(child)
			pids, err = append(pids, n), errors.Join(err, failed)
		}
	}
	return pids, err
}

// resident returns the memory of a process, VmRSS of proc_pid_status(5).
func resident(pid int) (float64, error) {
	return kilobytes("/proc/"+strconv.Itoa(pid)+"/status", "VmRSS:")
}

// kilobytes reads a number of a file of /proc, in bytes.
func kilobytes(file, key string) (float64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			n, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return n * 1024, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, key)
}
