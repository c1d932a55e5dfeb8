package process

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	tail := " 1 1 1 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 987654 1 1\n"
	for _, c := range []struct {
		text string
		want stat
		bad  bool
	}{
		{"7 (nicd) S" + tail, stat{"nicd", 'S', 987654}, false},
		{"7 (a) R (b) S" + tail, stat{"a) R (b", 'S', 987654}, false},
		{"7 () Z" + tail, stat{"", 'Z', 987654}, false},
		{"7 (x\n) S" + tail, stat{"x\n", 'S', 987654}, false},
		{"7 (nicd) S 1 2", stat{}, true}, {"", stat{}, true}, {")(", stat{}, true}, {"7 (a) SS" + tail, stat{}, true},
	} {
		got, err := parseStat([]byte(c.text))
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%q: %+v, %v", c.text, got, err)
		}
	}
}

// TestUnit: only what the system manager placed counts; every other path that looks like a unit does not.
func TestUnit(t *testing.T) {
	for _, c := range []struct{ cgroup, path, unit string }{
		{"0::/system.slice/nicd.service\n", "/system.slice/nicd.service", "nicd.service"},
		{"0::/system.slice/system-nic.slice/nic@1.service\n", "/system.slice/system-nic.slice/nic@1.service", "nic@1.service"},
		{"0::/system.slice/docker.service/payload\n", "/system.slice/docker.service/payload", "docker.service"},
		{"0::/system.slice/run-u1.scope\n", "/system.slice/run-u1.scope", "run-u1.scope"},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/nicd.service\n", "/user.slice/user-1000.slice/user@1000.service/app.slice/nicd.service", ""},
		{"0::/user.slice/user-1000.slice/user@1000.service/system.slice/nicd.service\n", "/user.slice/user-1000.slice/user@1000.service/system.slice/nicd.service", ""},
		{"0::/../system.slice/nicd.service\n", "/../system.slice/nicd.service", ""},
		{"0::/system.slice/../user.slice/x.service\n", "/system.slice/../user.slice/x.service", ""},
		{"0::/system.slicex/nicd.service\n", "/system.slicex/nicd.service", ""},
		{"0::/system.slice/payload/nicd.service\n", "/system.slice/payload/nicd.service", ""},
		{"0::/system.slice\n", "/system.slice", ""},
		{"5:devices:/x\n1:name=systemd:/system.slice/a.service\n0::/\n", "/system.slice/a.service", "a.service"},
		{"1:name=systemd:/system.slice/a.service\n0::/system.slice/b.service\n", "/system.slice/b.service", "b.service"},
		{"0::/system.slice/a:b.service\n", "/system.slice/a:b.service", "a:b.service"},
		{"", "", ""}, {"nonsense\n", "", ""},
	} {
		path := parseCgroup([]byte(c.cgroup))
		if path != c.path || unitOf(path) != c.unit {
			t.Errorf("%q: %q, unit %q; want %q, %q", c.cgroup, path, unitOf(path), c.path, c.unit)
		}
	}
}

func TestRealProcess(t *testing.T) {
	child := exec.Command("sleep", "100")
	if err := child.Start(); err != nil {
		t.Skip("needs sleep, try: apt-get install coreutils")
	}
	p, err := Read(child.Process.Pid)
	if err != nil || p.Start == 0 || !Alive(p.PID, p.Start) || Alive(p.PID, p.Start+1) {
		t.Errorf("%+v, %v", p, err)
	}
	child.Process.Kill()
	child.Wait()
	if _, err := Read(p.PID); !errors.Is(err, fs.ErrNotExist) || Alive(p.PID, p.Start) {
		t.Errorf("after its death: %v", err)
	}
	self, err := Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := Command(self.PID, self.Start); !ok || name != self.Command {
		t.Errorf("command %q, %v", name, ok)
	}
	if diff := cmp.Diff(self.PID, os.Getpid()); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("7 (nicd) S 1 1 1 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 987654 1 1\n"))
	f.Add([]byte("0::/system.slice/a.service\n1:name=systemd:/x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parseStat(data)
		unitOf(parseCgroup(data))
	})
}

// TestAliveWithoutDescriptors: that a process cannot be looked at is no reason to believe that it is dead.
func TestAliveWithoutDescriptors(t *testing.T) {
	self, err := Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, readErr := Read(self.PID)
	alive := Alive(self.PID, self.Start)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(readErr, syscall.EMFILE) || !alive {
		t.Errorf("without descriptors: read %v, alive %t; want EMFILE and true", readErr, alive)
	}
}
