package daemon

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/irq"
)

// TestNothingLeaks: thousands of connections, ended in every way, leave no descriptor, watch, count or goroutine.
func TestNothingLeaks(t *testing.T) {
	d := serve(t, "")
	connectAndDisconnect := func(n int) {
		for range n {
			c := d.connect("soft:demo/1", ivt.Label("leak"))
			if err := c.Disconnect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	connectAndDisconnect(10)
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	connectAndDisconnect(1500)
	for range 150 {
		_, err := d.client.Connect(t.Context(), "soft:demo/99")
		refused(t, err, irq.ErrInvalidParameter)
		raw := d.raw(t)
		out, fds := raw.connect(t, "soft:demo/2", "soft:demo/3")
		raw.closeAll(fds) // the lifeline among them
		eventually(t, "released", func() bool { _, err := d.Registry().Connection(out.Connection); return err != nil })
		raw.Close()
	}
	eventually(t, "as before", func() bool {
		d.mu.Lock()
		links := len(d.links)
		d.mu.Unlock()
		d.users.mu.Lock()
		users := len(d.users.all)
		d.users.mu.Unlock()
		return links == 0 && users == 0 && openFiles(t) <= files && runtime.NumGoroutine() <= goroutines+1
	})
}

// TestPerUserLimits: whoever reaches a limit is told which one; others and administrators go on.
func TestPerUserLimits(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=64\n[limits]\nconnections_per_user=2\nwaiting_per_user=1\nvectors_per_request=3\n[[allow]]\nvectors=[\"soft:demo/9\"]\nuser=\"*\"\nquota=1\n[[allow]]\nvectors=[\"soft:*\"]\nuser=\"*\"\n")
	for i := range 5 {
		d.connect("soft:demo/1" + string(rune('0'+i))) // an administrator
	}
	guests := []*driverProcess{startDriver(t, d.socket, asUser(t, 4241, 4242)), startDriver(t, d.socket, asUser(t, 4241, 4242)), startDriver(t, d.socket, asUser(t, 4241, 4242))}
	guests[0].connect("soft:demo/1")
	guests[1].connect("soft:demo/2")
	_, refusal := guests[2].do(order{Do: "connect", Vectors: []string{"soft:demo/3"}})
	if e := refused(t, refusal, irq.ErrNoResources); e.Reason != irq.ReasonQuota {
		t.Errorf("reason %s", e.Reason)
	}
	startDriver(t, d.socket, asUser(t, 4243, 4242)).connect("soft:demo/3")
	guests[0].kill()
	eventually(t, "it counts no more", func() bool {
		d.users.mu.Lock()
		defer d.users.mu.Unlock()
		return d.users.all[4241].connections == 1
	})
	guests[2].connect("soft:demo/4")
	_, refusal = guests[1].do(order{Do: "connect", Vectors: []string{"soft:demo/5", "soft:demo/6", "soft:demo/7", "soft:demo/8"}})
	refused(t, refusal, irq.ErrInvalidParameter)
}

// TestQuota: a rule's quota counts what its user has by it.
func TestQuota(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=64\n[[allow]]\nvectors=[\"soft:*\"]\nuser=\"*\"\nquota=2\n")
	guest := startDriver(t, d.socket, asUser(t, 4241, 4242))
	_, refusal := guest.do(order{Do: "connect", Vectors: []string{"soft:demo/1", "soft:demo/2", "soft:demo/3"}})
	if e := refused(t, refusal, irq.ErrNoResources); e.Reason != irq.ReasonQuota {
		t.Errorf("reason %s", e.Reason)
	}
	guest.connect("soft:demo/1", "soft:demo/2")
}

// TestReload: the new policy holds at once, a broken one changes nothing, and only revoke_on_reload revokes.
func TestReload(t *testing.T) {
	open := "[soft.demo]\nvectors=64\n[[allow]]\nvectors=[\"soft:*\"]\nuser=\"*\"\n"
	next := loadPolicy(t, open)
	var failed error
	d := serve(t, open, func(c *Config) { c.Load = func() (*policy.Policy, error) { return next, failed } })
	guest := startDriver(t, d.socket, asUser(t, 4241, 4242))
	guest.connect("soft:demo/1")

	failed = errors.New("a mistake")
	if err := d.Reload(t.Context()); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	failed, next = nil, loadPolicy(t, "[soft.demo]\nvectors=64\n[soft.more]\nvectors=4\n")
	if err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state := d.info("soft:demo/1").State; state != irq.StateConnected {
		t.Fatalf("a reload revoked: %s", state)
	}
	d.connect("soft:more/1")
	other := startDriver(t, d.socket, asUser(t, 4241, 4242))
	_, refusal := other.do(order{Do: "connect", Vectors: []string{"soft:demo/2"}})
	refused(t, refusal, irq.ErrAccessDenied)

	next = loadPolicy(t, "revoke_on_reload=true\n[soft.demo]\nvectors=64\n")
	if err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.becomes("soft:demo/1", irq.StateFree)
	if d.Registry().Source("soft:more") != nil {
		t.Error("a source that the policy no longer names is still there")
	}
}

// TestManyConnectionsAtOnce: a thousand clients, or what RLIMIT_NOFILE lets one process have, connected at the same time,
// each with its own session; all are served, and all are let go.
func TestManyConnectionsAtOnce(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// Client and daemon share this process: 2 descriptors for the session, 2 for the lifeline, 3 for the stream.
	n := min(1000, int(limit.Cur-500)/8)
	t.Logf("%d clients, RLIMIT_NOFILE is %d", n, limit.Cur)
	d := serve(t, "[soft.demo]\nvectors=20000\n[limits]\nsessions_per_user=0\nhistory=64\n")
	files := openFiles(t)
	clients := make([]*ivt.Client, n)
	var wait sync.WaitGroup
	failed := make(chan error, n)
	for w := range 16 {
		wait.Go(func() {
			for i := w; i < n; i += 16 {
				c, err := ivt.NewClient(ivt.Socket(d.socket))
				if err == nil {
					clients[i] = c
					_, err = c.Connect(t.Context(), irq.Vector{Source: "soft:demo", Index: i}.String())
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wait.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	if s := d.Registry().Stats(); s.Connections != n || d.Sessions() < n {
		t.Errorf("%d connections, %d sessions, want %d", s.Connections, d.Sessions(), n)
	}
	for c := range d.Registry().Connections() {
		if err := c.Revoke(t.Context(), 0, "the test is over"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range clients {
		c.Close()
	}
	runtime.GC()
	eventually(t, "all sessions end", func() bool { return d.Sessions() <= 1 })
	t.Logf("%d descriptors before, %d after, of which the clients did not close %d", files, openFiles(t), 2*n)
}

// TestDescriptorsRunOut: at RLIMIT_NOFILE whoever connects is refused with 1450, who is there stays, and when
// there are descriptors again ivtd serves as before.
func TestDescriptorsRunOut(t *testing.T) {
	d := serve(t, "")
	kept := d.connect("soft:demo/0")
	raw := d.raw(t)
	raw.call(t, "Status", nil, nil)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lower := limit
	lower.Cur = uint64(openFiles(t)) + 2
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	var hogs []*os.File
	for {
		f, err := os.Open("/dev/null")
		if err != nil {
			break
		}
		hogs = append(hogs, f)
	}
	_, err := d.client.Connect(t.Context(), "soft:demo/1")
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, f := range hogs {
		f.Close()
	}
	if e := refused(t, err, irq.ErrNoResources); !errors.Is(e, syscall.EMFILE) || e.Detail == "" {
		t.Errorf("%+v", e)
	}
	eventually(t, "free", func() bool { return d.info("soft:demo/1").State == irq.StateFree })
	d.connect("soft:demo/1")
	d.raise("soft:demo/0", 1)
	if i := wait(t, kept); i.Count != 1 {
		t.Errorf("%+v", i)
	}
}
