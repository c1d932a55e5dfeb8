package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
)

// startAs starts a driver under a pid that another process had, as whoever lets processes come and go for long enough can.
func startAs(t *testing.T, socket string, pid int, attributes ...func(*exec.Cmd)) *driverProcess {
	t.Helper()
	const last = "/proc/sys/kernel/ns_last_pid"
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if err := os.WriteFile(last, []byte(fmt.Sprint(pid-1)), 0); err != nil {
			need(t, false, "needs to choose a pid: "+err.Error()+"; try: sudo go test ./internal/daemon on a kernel with CONFIG_CHECKPOINT_RESTORE")
		}
		d := startDriver(t, socket, attributes...)
		if d.pid() == pid {
			return d
		}
		d.kill() // somebody else forked in between
	}
	t.Skipf("pid %d could not be had again: the machine starts too many processes", pid)
	return nil
}

// TestRule7AReusedPidIsSomebodyElse: a process that got the pid of a dead holder is not that holder, though it be the same user's.
func TestRule7AReusedPidIsSomebodyElse(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=8\n[[allow]]\nvectors=[\"soft:*\"]\nuid=4241\n")
	guest := asUser(t, 4241, 4242)
	holder := startDriver(t, d.socket, guest)
	a := holder.granted(order{Do: "connect", Vectors: []string{"soft:demo/1"}, Grace: time.Minute})
	holder.kill()
	d.becomes("soft:demo/1", irq.StateOrphaned)
	thief := startAs(t, d.socket, holder.pid(), guest)
	for _, o := range []order{
		{Do: "disconnect as", Connection: a.Connection, Generation: a.Generation},
		{Do: "mask as", Connection: a.Connection, Generation: a.Generation, Vectors: []string{"soft:demo/1"}},
	} {
		_, refusal := thief.do(o)
		refused(t, refusal, irq.ErrAccessDenied)
	}
	_, refusal := thief.do(order{Do: "resume", Connection: a.Connection, Token: strings.Repeat("0", len(a.Token))})
	refused(t, refusal, irq.ErrAccessDenied)
	_, refusal = thief.do(order{Do: "connect", Vectors: []string{"soft:demo/1"}})
	if e := refused(t, refusal, irq.ErrAlreadyConnected); e.Conflicts[0].Reason != irq.ReasonOrphaned {
		t.Errorf("reason %s", e.Conflicts[0].Reason)
	}
	if state := d.info("soft:demo/1").State; state != irq.StateOrphaned {
		t.Errorf("afterwards it is %s", state)
	}
}

// inUserNamespace makes a driver root of a user namespace of its own; outside it is uid.
func inUserNamespace(t *testing.T, uid int, flags uintptr) func(*exec.Cmd) {
	t.Helper()
	need(t, os.Geteuid() == 0, "needs to make name spaces, try: sudo go test ./internal/daemon")
	return func(c *exec.Cmd) {
		one := []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | flags, UidMappings: one, GidMappings: one,
			Credential: &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: true}}
	}
}

// TestRule7RootOfAUserNamespaceIsNobody: who made himself root in a user namespace is who he was, to the policy and to every other
// rule; a pid namespace hides nobody who dies in it.
func TestRule7RootOfAUserNamespaceIsNobody(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=8\n[[allow]]\nvectors=[\"soft:demo/1\"]\nuid=4241\n")
	held := d.connect("soft:demo/2")
	guest := startDriver(t, d.socket, inUserNamespace(t, 4241, syscall.CLONE_NEWPID))
	for _, o := range []order{
		{Do: "connect", Vectors: []string{"soft:demo/3"}},
		{Do: "disconnect as", Connection: held.ID(), Generation: held.Generation()},
		{Do: "mask as", Connection: held.ID(), Generation: held.Generation(), Vectors: []string{"soft:demo/2"}},
	} {
		_, refusal := guest.do(o)
		refused(t, refusal, irq.ErrAccessDenied)
	}
	guest.connect("soft:demo/1")
	h := d.info("soft:demo/1").Holders[0]
	if h.PID != guest.pid() || h.UID == nil || *h.UID != 4241 {
		t.Errorf("it is known as %+v, and is pid %d of uid 4241", h, guest.pid())
	}
	guest.kill()
	d.becomes("soft:demo/1", irq.StateFree)
}

// lines counts what is logged, from any goroutine.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count() (n int, last string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Split(strings.TrimSpace(l.text.String()), "\n")
	return len(all), all[len(all)-1]
}

// TestTheLogIsNotTheClients: whatever a client does, ivtd's log does not grow with it.
func TestTheLogIsNotTheClients(t *testing.T) {
	log := &lines{}
	d := serve(t, "[soft.demo]\nvectors=8\n", func(c *Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	guest := startDriver(t, d.socket, asUser(t, 4241, 4242))
	before, _ := log.count()
	for range 100 {
		for _, o := range []order{
			{Do: "connect", Vectors: []string{"soft:demo/1"}}, {Do: "connect", Vectors: []string{"soft:\x1b[2J/1"}}, {Do: "lookup", Vectors: []string{"pci:ffff:ff:1f.7/msi/0"}},
			{Do: "disconnect as", Connection: "c99", Generation: 1}, {Do: "resume", Connection: "c1", Token: "x"}, {Do: "ring", Vectors: []string{"soft:demo/1"}},
		} {
			if _, refusal := guest.do(o); refusal == nil {
				t.Fatalf("%s was not refused", o.Do)
			}
		}
		c, err := net.Dial("unix", d.socket)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "{\"method\":\x00garbage\x00")
		c.Close()
	}
	if after, last := log.count(); after > before+10 {
		t.Errorf("700 bad requests made %d lines, the last: %s", after-before, last)
	}
}

// TestThreadsAreNotTheClients: hundreds of peers that stop in the middle of a message, or do not read what they asked for, hold no
// thread of ivtd's.
func TestThreadsAreNotTheClients(t *testing.T) {
	d := serve(t, "")
	threads := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(tasks)
	}
	d.connect("soft:demo/1")
	before := threads()
	for n := range 300 {
		c, err := net.Dial("unix", d.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		text := `{"method":"io.ivtd.interrupts.Lo`
		if n%2 == 0 {
			text = strings.Repeat(`{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.ivtd.interrupts"}}`+"\x00", 40)
		}
		c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)) // ivtd reads no more from who does not read
		c.Write([]byte(text))
	}
	eventually(t, "they are served", func() bool { return d.Sessions() > 150 }) // of who does not read ivtd may have had enough
	d.connect("soft:demo/2")
	if after := threads(); after > before+20 {
		t.Errorf("%d threads before, %d beside 300 stuck peers", before, after)
	}
}
