package systemd

//vm:program ./cmd/ivtd ./cmd/ivt
//vm:file ../../../deploy/ivtd.service ../../../deploy/ivtd.socket ../../../deploy/name-holders.conf

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/test/vm/guest"
)

// ivtdUID is the user that deploy/ivtd.sysusers makes.
const ivtdUID = 990

const unitFolder = "/etc/systemd/system/"

// An installed is the shipped unit with the shipped socket, installed as make install does.
type installed struct {
	*testing.T
	client *ivt.Client
	former int // lines of the journal that are of former tests
}

// install puts the shipped units into place with a policy and, if there are any, drop-ins, and listens on the socket. The first client
// starts the service.
func install(t *testing.T, policy string, dropIns ...string) *installed {
	t.Helper()
	guest.Require(t)
	addUser(t)
	folder := unitFolder + "ivtd.service.d"
	s := &installed{T: t}
	s.former = max(0, len(s.journal(""))-1) // the last one is empty
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("journal:\n%s", strings.Join(s.journal(""), "\n"))
		}
		exec.Command("systemctl", "stop", "ivtd.socket", "ivtd.service").Run() // the test may have stopped them
		os.RemoveAll(folder)
		os.Remove("/etc/ivtd/ivtd.toml")
		os.RemoveAll("/var/lib/ivtd")
		exec.Command("systemctl", "reset-failed", "ivtd.service").Run()
	})
	copyFile(t, "/work/bin/ivtd", "/usr/sbin/ivtd", 0o755)
	copyFile(t, "ivtd.socket", unitFolder+"ivtd.socket", 0o644)
	copyFile(t, "ivtd.service", unitFolder+"ivtd.service", 0o644)
	write(t, "/etc/ivtd/ivtd.toml", policy)
	for i, text := range dropIns {
		write(t, fmt.Sprintf("%s/%d.conf", folder, i), text)
	}
	guest.Systemctl(t, "daemon-reload")
	guest.Systemctl(t, "start", "ivtd.socket")
	var err error
	if s.client, err = ivt.NewClient(ivt.System()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.client.Close() })
	return s
}

func addUser(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "\nivtd:") {
		return
	}
	appendTo(t, "/etc/passwd", fmt.Sprintf("ivtd:x:%d:%[1]d::/var/lib/ivtd:/bin/false\n", ivtdUID))
	appendTo(t, "/etc/group", fmt.Sprintf("ivtd:x:%d:\n", ivtdUID))
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// copyFile replaces a file as package managers do: the new one is renamed over it.
func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".new", text, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		t.Fatal(err)
	}
}

func (s *installed) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	s.Cleanup(cancel)
	return ctx
}

func (s *installed) connect(vector string, options ...ivt.Option) *ivt.Connection {
	s.Helper()
	c, err := s.client.Connect(s.ctx(), vector, options...)
	if err != nil {
		s.Fatal(err)
	}
	return c
}

// pids returns keeper and worker, 0 for who does not run.
func (s *installed) pids() (keeper, worker int) {
	text, err := os.ReadFile("/sys/fs/cgroup/system.slice/ivtd.service/cgroup.procs")
	if err != nil {
		return 0, 0
	}
	for word := range strings.FieldsSeq(string(text)) {
		pid, _ := strconv.Atoi(word)
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || !strings.Contains(string(stat), "(ivtd) ") {
			continue // systemd, on its way to becoming ivtd
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		switch f := strings.Fields(rest); {
		case f[0] == "Z":
		case f[1] == "1":
			keeper = pid
		default:
			worker = pid
		}
	}
	return keeper, worker
}

// kill sends a signal and returns when another worker is there.
func (s *installed) kill(pid int, signal syscall.Signal) {
	s.Helper()
	before := s.worker()
	if err := syscall.Kill(pid, signal); err != nil {
		s.Fatalf("kill %d: %v", pid, err)
	}
	guest.Eventually(s, fmt.Sprintf("another worker in place of %d", before), func() bool { now := s.worker(); return now != 0 && now != before })
}

func (s *installed) keeper() int { k, _ := s.pids(); return k }
func (s *installed) worker() int { _, w := s.pids(); return w }

// status asks until somebody answers.
func (s *installed) status() ivt.Status {
	s.Helper()
	status, err := s.client.Status(s.ctx())
	if err != nil {
		s.Fatal(err)
	}
	return status
}

// rung waits for the ring of rule 9.
func (s *installed) rung(c *ivt.Connection) {
	s.Helper()
	for {
		i := s.wait(c)
		if i.Rang {
			return
		}
	}
}

func (s *installed) wait(c *ivt.Connection) ivt.Interrupt {
	s.Helper()
	i, err := c.Wait(s.ctx())
	if err != nil {
		s.Fatalf("%s: %v", c.Vectors(), err)
	}
	return i
}

// delivers rings a doorbell and waits for it: the connection is alive from end to end.
func (s *installed) delivers(c *ivt.Connection) {
	s.Helper()
	if err := s.client.Raise(s.ctx(), c.Vectors()[0].String(), 1); err != nil {
		s.Fatal(err)
	}
	for s.wait(c).Count == 0 {
	}
}

// stored is how many descriptors systemd keeps.
func (s *installed) stored() int {
	s.Helper()
	n, err := strconv.Atoi(guest.Show(s, "ivtd.service", "NFileDescriptorStore"))
	if err != nil {
		s.Fatal(err)
	}
	return n
}

// journal is what the unit said in this test, as far as it contains a text.
func (s *installed) journal(containing string) []string {
	lines := strings.Split(guest.Journal("ivtd.service"), "\n")[s.former:]
	return slices.DeleteFunc(lines, func(l string) bool { return !strings.Contains(l, containing) })
}

// on skips a test on other kernels than its own, unless IVT_TEST_ALL is set: systemd is the same on all of them, and each takes its share.
// Kernels are named as for make test-vm.
func on(t *testing.T, kernels ...string) {
	t.Helper()
	guest.Require(t)
	release := guest.Release()
	name, _, debian := strings.Cut(release, "-")
	if !debian {
		name = "own."
	}
	of := func(kernel string) bool { return strings.HasPrefix(name, kernel+".") }
	if os.Getenv("IVT_TEST_ALL") == "" && !slices.ContainsFunc(kernels, of) {
		t.Skipf("this kernel is %s, and the test is one for %s; try: IVT_TEST_ALL=1", release, kernels)
	}
}
