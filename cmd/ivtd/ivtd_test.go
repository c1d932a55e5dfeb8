package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// TestMain lets the test binary be ivtd itself.
func TestMain(m *testing.M) {
	if os.Getenv("IVTD_TEST_DRIVER") != "" {
		drive()
		os.Exit(0)
	}
	if os.Getenv("IVTD_TEST") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// ivtd prepares to run the real command.
func ivtd(args ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", args...)
	c.Env = append(os.Environ(), "IVTD_TEST=1")
	return c
}

// A running is an ivtd in a process of its own.
type running struct {
	*exec.Cmd
	t      *testing.T
	socket string
	args   []string // default: the socket and the configuration beside it
	log    *bufio.Scanner
}

// demo is a policy.
const demo = "[soft.demo]\nvectors=64\nshareable=true\n"

// start runs ivtd and waits until it serves.
func start(t *testing.T, config string) *running {
	t.Helper()
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &running{t: t, socket: filepath.Join(dir, "s")}
	r.write(config)
	r.run()
	return r
}

// run starts ivtd with the configuration that is there.
func (r *running) run() {
	r.t.Helper()
	args := r.args
	if args == nil {
		args = []string{"--socket", r.socket, "--config", r.config(), "--log-format", "json"}
	}
	r.Cmd = ivtd(args...)
	pipe, err := r.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	r.log = bufio.NewScanner(pipe)
	if err := r.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { r.Process.Kill(); r.Wait() })
	r.until(`"msg":"serving"`)
}

func (r *running) config() string { return filepath.Join(filepath.Dir(r.socket), "ivtd.toml") }

func (r *running) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.config(), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// until reads the log up to a line that has a text, and returns that line.
func (r *running) until(text string) string {
	r.t.Helper()
	var before []string
	for r.log.Scan() {
		if strings.Contains(r.log.Text(), text) {
			return r.log.Text()
		}
		before = append(before, r.log.Text())
	}
	r.t.Fatalf("the log ended before %s:\n%s", text, strings.Join(before, "\n"))
	return ""
}

func (r *running) client() *ivt.Client {
	c, err := ivt.NewClient(ivt.Socket(r.socket))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

func TestServesAndStops(t *testing.T) {
	r := start(t, demo)
	c, err := r.client().Connect(t.Context(), "soft:demo/3")
	if err != nil {
		t.Fatal(err)
	}
	done := c.Done()
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-done // the lifeline hung up
	if err := c.Err(); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("got %v", err)
	}
	r.until(`"msg":"stopped"`)
	if err := r.Wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if _, err := os.Stat(r.socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
	_, err = r.client().Connect(t.Context(), "soft:demo/3")
	if !errors.Is(err, ivt.ErrNoDaemon) || !strings.Contains(err.Error(), r.socket) {
		t.Errorf("got %v", err)
	}
}

// TestStopCancelsWaiters: who waits is told, and does not hold the end up.
func TestStopCancelsWaiters(t *testing.T) {
	r := start(t, demo)
	client := r.client()
	if _, err := client.Connect(t.Context(), "soft:demo/3"); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		_, err := client.Connect(t.Context(), "soft:demo/3", ivt.Wait())
		failed <- err
	}()
	for {
		if s, err := client.Status(t.Context()); err != nil {
			t.Fatal(err)
		} else if s.Waiting == 1 {
			break
		}
	}
	r.Process.Signal(syscall.SIGTERM)
	if err := <-failed; !errors.Is(err, irq.ErrCancelled) && !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("got %v", err)
	}
	if err := r.Wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
}

// TestKilledDaemon: without a keeper its death hangs up every lifeline, and the next one replaces the socket.
func TestKilledDaemon(t *testing.T) {
	r := start(t, demo)
	c, err := r.client().Connect(t.Context(), "soft:demo/3")
	if err != nil {
		t.Fatal(err)
	}
	done := c.Done()
	r.Process.Kill()
	<-done
	if err := c.Err(); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("got %v", err)
	}
	r.Wait()
	again := ivtd("--socket", r.socket, "--config", r.config(), "--log-format", "json")
	pipe, _ := again.StderrPipe()
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { again.Process.Kill(); again.Wait() }()
	(&running{t: t, log: bufio.NewScanner(pipe)}).until(`"msg":"serving"`)
	if _, err := r.client().Connect(t.Context(), "soft:demo/3"); err != nil {
		t.Error(err)
	}
}

func TestSecondDaemonSaysWhoServes(t *testing.T) {
	r := start(t, demo)
	out, err := ivtd("--socket", r.socket, "--config", r.config()).CombinedOutput()
	want := fmt.Sprintf("is served already, by pid %d since ", r.Process.Pid)
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("got %q, %v; want …%s…", out, err, want)
	}
}

func TestReloadBySignal(t *testing.T) {
	r := start(t, demo)
	r.write("[soft.other]\nvectors=4\n")
	r.Process.Signal(syscall.SIGHUP)
	r.until(`"msg":"policy reloaded"`)
	if _, err := r.client().Connect(t.Context(), "soft:other/3"); err != nil {
		t.Error(err)
	}
	r.write("[soft.other]\nvektors=4\n")
	r.Process.Signal(syscall.SIGHUP)
	if line := r.until(`"level":"ERROR"`); !strings.Contains(line, `ivtd.toml:2:1: unknown key \"vektors\"; did you mean \"vectors\"?`) {
		t.Errorf("the log says %s", line)
	}
	if _, err := r.client().Connect(t.Context(), "soft:other/2"); err != nil {
		t.Errorf("the old policy is gone: %v", err)
	}
}

func TestCheckConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ivtd.toml")
	for _, c := range []struct {
		text, out string
		status    int
	}{
		{"[soft.demo]\nvectors=64\n", "OK: 0 rules and 1 built in, 0 device matches, 1 group of doorbells (" + file + ")\n", 0},
		{"[soft.demo]\nvektors=64\n[[alow]]\n", file + ":2:1: unknown key \"vektors\"; did you mean \"vectors\"?\n" + file + ":3:3: unknown key \"alow\"; did you mean \"allow\"?\nivtd: the policy has 2 mistakes\n", 1},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := ivtd("--check-config", "--config", file).CombinedOutput()
		var exit *exec.ExitError
		if status := 0; string(out) != c.out || errors.As(err, &exit) && exit.ExitCode() != c.status || err != nil && c.status == status {
			t.Errorf("got %q, %v", out, err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args   []string
		out    string
		status int
	}{
		{[]string{"--version"}, "ivtd ", 0}, {[]string{"serve"}, `unexpected argument "serve"`, 2}, {[]string{"--nonsense"}, "unknown flag", 2},
		{[]string{"--log-format", "xml", "--socket", "/nonexistent/s"}, "there are text and json", 2}, {[]string{"--log-level", "loud", "--socket", "/nonexistent/s"}, "there are debug", 2},
		{[]string{"--config", "/nonexistent/ivtd.toml", "--socket", "/nonexistent/s"}, "no such file", 1},
		{[]string{"--socket", "/nonexistent/s"}, "/nonexistent does not exist: create it", 1},
	} {
		out, err := ivtd(c.args...).CombinedOutput()
		status := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			status = exit.ExitCode()
		}
		if !strings.Contains(string(out), c.out) || status != c.status {
			t.Errorf("%v: %d %q", c.args, status, out)
		}
	}
}

// TestSocketActivation: a listener that was handed down is served, and systemd is told.
func TestSocketActivation(t *testing.T) {
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/s", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/notify", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	// As systemd does: the variables must name the pid of the process that is ivtd.
	c := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" --config "$1" --history none`, must(os.Executable()), dir+"/ivtd.toml")
	c.Env = append(os.Environ(), "IVTD_TEST=1", "LISTEN_FDS=1", "NOTIFY_SOCKET="+dir+"/notify")
	c.ExtraFiles = []*os.File{file}
	os.WriteFile(dir+"/ivtd.toml", []byte("[soft.demo]\nvectors=4\n"), 0o600)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	heard := func(want string) {
		t.Helper()
		b := make([]byte, 256)
		for {
			notify.SetReadDeadline(time.Now().Add(time.Minute))
			n, err := notify.Read(b)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if strings.HasPrefix(string(b[:n]), want) {
				return
			}
		}
	}
	heard("READY=1")
	client, err := ivt.NewClient(ivt.Socket(dir + "/s"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Connect(context.Background(), "soft:demo/1"); err != nil {
		t.Error(err)
	}
	c.Process.Signal(syscall.SIGHUP)
	heard("RELOADING=1\nMONOTONIC_USEC=")
	heard("READY=1")
	c.Process.Signal(syscall.SIGTERM)
	heard("STOPPING=1")
	if _, err := os.Stat(dir + "/s"); err != nil {
		t.Errorf("the socket is systemd's, and gone: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestTheManualHasEveryOption keeps ivtd(8) beside the code.
func TestTheManualHasEveryOption(t *testing.T) {
	manual, err := os.ReadFile("../../docs/man/ivtd.8")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(manual), `\-`, "-")
	options := regexp.MustCompile(`(?m)^ +--[a-z-]+`).FindAllString(command().Flags().FlagUsages(), -1)
	if len(options) == 0 {
		t.Error("there are no options")
	}
	for _, o := range options {
		if o = strings.TrimSpace(o); !strings.Contains(text, o) {
			t.Errorf("ivtd(8) does not have %s", o)
		}
	}
}
