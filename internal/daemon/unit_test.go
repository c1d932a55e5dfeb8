package daemon

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
)

var noTime time.Time

// enter puts a driver into a cgroup of systemd's hierarchy, which it makes.
func (d *driverProcess) enter(path string) {
	t := d.t
	t.Helper()
	root := ""
	for _, hierarchy := range []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup"} { // hybrid, unified
		if _, err := os.Stat(filepath.Join(hierarchy, "cgroup.procs")); err == nil {
			root = hierarchy
			break
		}
	}
	need(t, os.Geteuid() == 0 && root != "", "needs to make a cgroup, try: sudo go test ./internal/daemon")
	t.Cleanup(func() {
		d.kill()
		for dir := path; dir != "/" && os.Remove(root+dir) == nil; dir = filepath.Dir(dir) { // as far as they are empty
		}
	})
	if err := os.MkdirAll(root+path, 0o755); err != nil {
		need(t, false, "cannot make a cgroup: "+err.Error()+"; try a machine where root may")
	}
	if err := os.WriteFile(root+path+"/cgroup.procs", []byte(strconv.Itoa(d.pid())), 0o644); err != nil {
		need(t, false, "cannot enter a cgroup: "+err.Error())
	}
}

// TestUnitsAreTheSystemManagers: a rule for a unit fits who systemd put into /system.slice, and nobody who calls a
// cgroup of its own so.
func TestUnitsAreTheSystemManagers(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=8\n[[allow]]\nvectors=[\"soft:*\"]\nunit=\"ivt-test@*.service\"\n")
	for _, c := range []struct {
		cgroup string
		code   irq.Code // 0: granted
	}{
		{"/system.slice/system-ivt.slice/ivt-test@1.service", 0},
		{"/user.slice/user-4241.slice/user@4241.service/system.slice/ivt-test@1.service", irq.ErrAccessDenied},
		{"/system.slice/other.service/ivt-test@1.service", irq.ErrAccessDenied},
	} {
		driver := startDriver(t, d.socket, asUser(t, 4241, 4242))
		driver.enter(c.cgroup)
		_, refusal := driver.do(order{Do: "connect", Vectors: []string{"soft:demo/1"}})
		if c.code != 0 {
			refused(t, refusal, c.code)
			continue
		}
		if refusal != nil {
			t.Fatal(refusal)
		}
		if h := d.info("soft:demo/1").Holders; len(h) != 1 || h[0].Unit != "ivt-test@1.service" || h[0].Cgroup != c.cgroup {
			t.Errorf("held by %+v", h)
		}
		driver.kill()
		d.becomes("soft:demo/1", irq.StateFree)
	}
}
