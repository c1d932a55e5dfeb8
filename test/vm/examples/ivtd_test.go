package examples

//vm:program ./cmd/ivt ./cmd/ivtd ./examples/edu ./examples/edu/c ./examples/edu/rust
//vm:file ../../../examples/edu/edu.toml

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/test/vm/guest"
)

// The users of the VM.
const (
	root  = 0
	alice = 1001
	bob   = 1002
)

// limit is for what must happen at some time, on a machine that is emulated.
const limit = 60 * time.Second

// served is an ivtd, a process of its own.
type served struct {
	t      *testing.T
	socket string
	client *ivt.Client
}

// serve starts ivtd with an example's policy, in which names are replaced by those of this machine.
func serve(t *testing.T, policy string, replace ...string) *served {
	t.Helper()
	text, err := os.ReadFile(policy)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d := &served{t: t, socket: filepath.Join(dir, "s")}
	text = append(text, "\n[[allow]]\nvectors = [\"pci:*\"]\nuser = \"root\"\naccess = \"device\"\n"...) // the test is, too
	file := filepath.Join(dir, "ivtd.toml")
	if err := os.WriteFile(file, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o644); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	daemon := exec.Command("ivtd", "--socket", d.socket, "--config", file)
	daemon.Stdout, daemon.Stderr = &said, &said
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		daemon.Process.Signal(syscall.SIGTERM)
		daemon.Wait()
		if t.Failed() {
			t.Logf("ivtd said:\n%s", said.Bytes())
		}
	})
	if d.client, err = ivt.NewClient(ivt.Socket(d.socket)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.client.Close() })
	guest.Eventually(t, "ivtd answers", func() bool { _, err := d.client.Status(t.Context()); return err == nil })
	return d
}

// program is a running one.
type program struct {
	*exec.Cmd
	t     *testing.T
	in    io.WriteCloser
	lines chan string
	mu    sync.Mutex
	text  []string // all that it said
	over  chan struct{}
	err   error // of Wait, when over is closed
}

// start runs a program as a user. Its output, both streams, is read line by line.
func (d *served) start(uid uint32, words ...string) *program {
	d.t.Helper()
	p := &program{Cmd: exec.Command(words[0], words[1:]...), t: d.t, lines: make(chan string, 1000), over: make(chan struct{})}
	p.Env = append(os.Environ(), "IVT_SOCKET="+d.socket)
	p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, Setpgid: true}
	out, in, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	p.Stdout, p.Stderr = in, in
	if p.in, err = p.StdinPipe(); err == nil {
		err = p.Start()
	}
	in.Close()
	if err != nil {
		d.t.Fatalf("%s: %v", words[0], err)
	}
	go p.read(out)
	d.t.Cleanup(func() {
		p.kill()
		if d.t.Failed() {
			p.mu.Lock()
			defer p.mu.Unlock()
			d.t.Logf("%s said:\n\t%s", strings.Join(words, " "), strings.Join(p.text, "\n\t"))
		}
	})
	return p
}

func (p *program) read(out *os.File) {
	defer out.Close()
	for s := bufio.NewScanner(out); s.Scan(); {
		p.mu.Lock()
		p.text = append(p.text, s.Text())
		p.mu.Unlock()
		p.lines <- s.Text()
	}
	close(p.lines)
	p.err = p.Wait()
	close(p.over)
}

// says waits for the next line, which must be that one.
func (p *program) says(format string, args ...any) {
	p.t.Helper()
	want := fmt.Sprintf(format, args...)
	if got := p.line(); got != want {
		p.t.Fatalf("%s says %q, want %q", p.Args[0], got, want)
	}
}

// line waits for the next line.
func (p *program) line() string {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			p.t.Fatalf("%s ended without another line", p.Args[0])
		}
		return line
	case <-time.After(limit):
		p.t.Fatalf("%s says nothing for %v", p.Args[0], limit)
	}
	return ""
}

// tell writes a line to it.
func (p *program) tell(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// ended waits for its end and returns its exit status, or -1 if a signal ended it.
func (p *program) ended() int {
	p.t.Helper()
	select {
	case <-p.over:
	case <-time.After(limit):
		p.t.Fatalf("%s does not end", p.Args[0])
	}
	return p.ProcessState.ExitCode()
}

// kill kills it as kill -9 does, and its children, which otherwise keep its output open.
func (p *program) kill() {
	syscall.Kill(-p.Process.Pid, syscall.SIGKILL) // ESRCH: it has ended
	<-p.over
}

// refused runs a program that is expected to fail with a code, and returns all that it said.
func (d *served) refused(uid uint32, code string, words ...string) string {
	d.t.Helper()
	p := d.start(uid, words...)
	if status := p.ended(); status <= 0 {
		d.t.Errorf("%s ended with %d, not with %s", words[0], status, code)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text := strings.Join(p.text, "\n")
	if !strings.Contains(text, code) {
		d.t.Errorf("%s says %q, not %s", words[0], text, code)
	}
	return text
}

// free waits until nobody has a vector.
func (d *served) free(vector string) {
	d.t.Helper()
	guest.Eventually(d.t, vector+" is free", func() bool {
		v, err := d.client.Lookup(d.t.Context(), vector)
		return err == nil && v.State == "free"
	})
}

// rung waits for an interrupt of each vector, in any order and some of them twice: who comes after another holder, and whose
// device was reset, is rung in doubt.
func (p *program) rung(vectors ...string) {
	p.t.Helper()
	seen := map[string]bool{}
	for len(seen) < len(vectors) {
		line := p.line()
		v := strings.TrimPrefix(line, "interrupt ")
		if !slices.Contains(vectors, v) {
			p.t.Fatalf("%s says %q, which is none of %v", p.Args[0], line, vectors)
		}
		seen[v] = true
	}
}

// held waits until somebody has a vector who has become a command.
func (d *served) held(vector, command string) {
	d.t.Helper()
	guest.Eventually(d.t, vector+" is held by "+command, func() bool {
		v, err := d.client.Lookup(d.t.Context(), vector)
		if err != nil || len(v.Holders) != 1 {
			return false
		}
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", v.Holders[0].PID))
		return strings.TrimSpace(string(comm)) == command
	})
}
