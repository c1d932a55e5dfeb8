package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// hiding is a policy that hides one source from all but the test's own user.
func hiding() string {
	return fmt.Sprintf("[soft.demo]\nvectors=8\n[soft.secret]\nvectors=2\n[[allow]]\nvectors=[\"soft:*\"]\nuid=%d\n[[allow]]\nvectors=[\"soft:secret/*\"]\nuser=\"*\"\nhide=true\n", os.Getuid())
}

// listening runs ivtd with --listen and waits until it serves there.
func listening(t *testing.T, policy, address string, more ...string) *running {
	t.Helper()
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &running{t: t, socket: filepath.Join(dir, "s")}
	r.write(policy)
	r.Cmd = ivtd(append([]string{"--socket", r.socket, "--config", r.config(), "--log-format", "json", "--listen", address}, more...)...)
	pipe, err := r.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.log = bufio.NewScanner(pipe)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Process.Kill(); r.Wait() })
	return r
}

const servesPublic = `"msg":"serving page and metrics"`

// freePort is an address on loopback where nobody listens now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func get(t *testing.T, address string) string {
	t.Helper()
	r, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v\n%s", address, r.Status, err, text)
	}
	return string(text)
}

// A stream are the page's events as a browser gets them.
type stream struct {
	t *testing.T
	*bufio.Reader
	all strings.Builder
}

func openStream(t *testing.T, address string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	q, _ := http.NewRequestWithContext(ctx, http.MethodGet, address+"/api/stream", nil)
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Body.Close() })
	return &stream{t: t, Reader: bufio.NewReaderSize(r.Body, 1<<20)}
}

// until reads up to a line that has all the words.
func (s *stream) until(words ...string) {
	s.t.Helper()
next:
	for {
		line, err := s.ReadString('\n')
		s.all.WriteString(line)
		if err != nil {
			s.t.Fatalf("waiting for %q: %v after\n%s", words, err, s.all.String())
		}
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		return
	}
}

// TestPublicShowsNoPersons: what everybody may see has vectors and counts, and nothing of who holds them or was refused.
func TestPublicShowsNoPersons(t *testing.T) {
	address := freePort(t)
	r := listening(t, hiding(), address)
	r.until(servesPublic)
	page := openStream(t, "http://"+address)
	page.until("event: frame")
	client := r.client()
	for _, v := range []string{"soft:demo/3", "soft:secret/1"} {
		if _, err := client.Connect(t.Context(), v, ivt.Label("private-label")); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Connect(t.Context(), v, ivt.Label("private-label")); !errors.Is(err, irq.ErrAlreadyConnected) {
			t.Fatal(err)
		}
	}
	page.until(`"kind":"connected"`, `"vector":"soft:demo/3"`, `"who":"a process"`)
	page.until(`"kind":"refused"`, `"vector":"soft:demo/3"`, `"code":763`)
	page.until(`"rows":[{`, `"name":"soft:demo/3"`, `"state":"connected"`, `"holders":[{"kind":"process"}]`)
	metrics := get(t, "http://"+address+"/metrics")
	for _, want := range []string{
		`ivt_refusals_total{code="763",name="ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED"} 2`, `ivt_vector_holders{source="soft:demo",vector="soft:demo/3"} 1`,
		`ivt_source_vectors{source="soft:demo"} 8`, "ivt_connections 1", "ivt_vectors 8", "ivt_sources 1", "ivt_sessions 1", "ivt_worker_starts_total 1", "ivt_build_info{", "process_open_fds",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	history := get(t, "http://"+address+"/api/history") + get(t, "http://"+address+"/api/history?vector=soft:demo/3")
	if !strings.Contains(history, `"kind":"refused"`) {
		t.Errorf("history has no refusal: %s", history)
	}
	everything := map[string]string{"stream": page.all.String(), "metrics": metrics, "history": history,
		"hidden history": get(t, "http://"+address+"/api/history?vector=soft:secret/1"), "findings": get(t, "http://"+address+"/api/findings")}
	command, _ := os.ReadFile("/proc/self/comm")
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	_, group, _ := strings.Cut(strings.TrimSpace(string(cgroup)), "::/")
	for where, text := range everything {
		for _, private := range []string{"private-label", "secret", `"pid"`, `"uid"`, `"command"`, `"cgroup"`, `"unit"`, `"connection"`, fmt.Sprintf("pid %d", os.Getpid()),
			strings.TrimSpace(string(command)), group} {
			if private != "" && strings.Contains(text, private) {
				t.Errorf("%s has %q:\n%.2000s", where, private, text)
			}
		}
	}
}

// TestRule14PublicSocketOutlivesWorkers: who asks while a worker is replaced is not refused, and counts go on.
func TestRule14PublicSocketOutlivesWorkers(t *testing.T) {
	address := freePort(t)
	r := listening(t, demo, address)
	r.until(servesPublic)
	client := r.client()
	if _, err := client.Connect(t.Context(), "soft:demo/3"); err != nil {
		t.Fatal(err)
	}
	status, err := client.Status(t.Context())
	if err != nil || status.PID == r.Process.Pid {
		t.Fatal(status, err)
	}
	if err := syscall.Kill(status.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("the worker died")
	c, err := net.Dial("tcp", address) // perhaps nobody accepts yet, but the socket is there
	if err != nil {
		t.Fatalf("the socket was lost with the worker: %v", err)
	}
	c.Close()
	r.until(servesPublic)
	metrics := get(t, "http://"+address+"/metrics")
	for _, want := range []string{"ivt_worker_starts_total 2", `ivt_adopted_connections{outcome="adopted"} 1`, `ivt_vector_holders{source="soft:demo",vector="soft:demo/3"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
}

func TestListenMistakes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	served := filepath.Join(dir, "served")
	u, err := net.Listen("unix", served)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	file := filepath.Join(dir, "file")
	os.WriteFile(file, []byte("precious"), 0o600)
	for _, c := range []struct {
		address, says string
		status        int
	}{
		{l.Addr().String(), "--listen " + l.Addr().String() + ": somebody listens there already", 1}, {"unix:" + served, "somebody listens there already", 1},
		{"unix:" + file, "somebody listens there already", 1}, {"unix:relative", "begins with /", 2}, {"9763", "it is host:port", 2}, {"127.0.0.1:", "it is host:port", 2},
		{"127.0.0.1:99999", "it is host:port", 2}, {"unix:/nonexistent/s", "no such file", 1},
	} {
		for _, more := range [][]string{nil, {"--no-keeper"}} {
			socket := filepath.Join(dir, "s")
			out, err := ivtd(append([]string{"--socket", socket, "--listen", c.address}, more...)...).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != c.status || !strings.Contains(string(out), c.says) {
				t.Errorf("%s %v: %v, %q", c.address, more, err, out)
			}
			if _, err := os.Stat(socket); err == nil {
				t.Errorf("%s %v: the socket of a daemon that did not start is left", c.address, more)
			}
		}
	}
	if text, _ := os.ReadFile(file); string(text) != "precious" {
		t.Errorf("the file has %q", text)
	}
}

// TestListenOnUnixSocket: for a reverse proxy. What a killed ivtd left there is replaced; at the end it is gone.
func TestListenOnUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	for _, more := range [][]string{nil, {"--no-keeper"}} {
		r := listening(t, demo, "unix:"+path, more...)
		r.until(servesPublic)
		client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}}
		answer, err := client.Get("http://irq.example.org/metrics")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Error(answer.Status)
		}
		client.CloseIdleConnections()
		r.Process.Signal(syscall.SIGTERM)
		if err := r.Wait(); err != nil {
			t.Errorf("exit: %v", err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%v: the socket is left: %v", more, err)
		}
	}
}

// TestForeignHostIsRefused on loopback: a web page must not read this machine by a name that it made point here.
func TestForeignHostIsRefused(t *testing.T) {
	address := freePort(t)
	listening(t, demo, address).until(servesPublic)
	for _, c := range []struct {
		host, origin, method string
		status               int
	}{
		{address, "", "GET", 200}, {"evil.example.org", "", "GET", 421}, {address, "http://evil.example.org", "GET", 403}, {address, "", "POST", 405},
	} {
		q, _ := http.NewRequest(c.method, "http://"+address+"/metrics", nil)
		q.Host = c.host
		if c.origin != "" {
			q.Header.Set("Origin", c.origin)
		}
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != c.status {
			t.Errorf("%+v: %s", c, answer.Status)
		}
	}
}

// TestListenToTheNetworkIsSaid, and no port is open without being told.
func TestListenToTheNetworkIsSaid(t *testing.T) {
	_, port, _ := net.SplitHostPort(freePort(t))
	listening(t, demo, "0.0.0.0:"+port).until("open to the network, without encryption")
	r := start(t, demo)
	status, err := r.client().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{r.Process.Pid, status.PID} {
		for _, table := range []string{"tcp", "tcp6"} {
			if inodes := listeners(t, table); len(inodes) > 0 {
				links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
				for _, l := range links {
					if to, _ := os.Readlink(l); inodes[to] {
						t.Errorf("pid %d listens: %s is in /proc/net/%s", pid, to, table)
					}
				}
			}
		}
	}
}

// listeners are the sockets that listen (proc_pid_net(5): state 0A), as /proc/PID/fd shows them.
func listeners(t *testing.T, table string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("/proc/net/" + table)
	if err != nil {
		return nil // no IPv6
	}
	all := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" {
			all["socket:["+f[9]+"]"] = true
		}
	}
	return all
}

// TestVisitorsAreLimited: descriptors are for drivers; who comes beyond is hung up on, and room is given back.
func TestVisitorsAreLimited(t *testing.T) {
	address := freePort(t)
	listening(t, demo, address).until(servesPublic)
	var open []net.Conn
	for range mostVisitors {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	for _, c := range append(open, c) {
		c.Close()
	}
	for end := time.Now().Add(time.Minute); ; {
		answer, err := http.Get("http://" + address + "/metrics")
		if err == nil {
			answer.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
