package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/ivtd/ivt/test/vm/kmod"
	"github.com/ivtd/ivt/test/vm/wire"
	"golang.org/x/sys/unix"
)

// root puts a mount over the initial root file system, which itself can
// neither be moved nor pivoted away from: what makes containers and systemd's
// sandboxes expects to do that.
func root() error {
	if err := os.MkdirAll("/newroot", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("/", "/newroot", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind root: %w", err)
	}
	if err := unix.Chdir("/newroot"); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// mounts mounts what the kernel has; a file system that it lacks is no error,
// a test that needs it says so.
func mounts() {
	for _, m := range []struct{ typ, dir, data string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"devtmpfs", "/dev", ""},
		{"devpts", "/dev/pts", "ptmxmode=0666"},
		{"tmpfs", "/dev/shm", ""},
		{"tmpfs", "/run", "mode=755"},
		{"tmpfs", "/tmp", "mode=1777"},
		{"debugfs", "/sys/kernel/debug", ""},
		{"tracefs", "/sys/kernel/tracing", ""},
		{"securityfs", "/sys/kernel/security", ""},
		{"configfs", "/sys/kernel/config", ""},
		{"bpf", "/sys/fs/bpf", ""},
		{"cgroup2", "/sys/fs/cgroup", ""},
	} {
		if strings.HasPrefix(m.dir, "/dev/") {
			os.MkdirAll(m.dir, 0o755)
		}
		err := unix.Mount(m.typ, m.dir, m.typ, 0, m.data)
		if err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EBUSY) {
			fmt.Printf("vm: mount %s: %v\n", m.dir, err)
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		os.Symlink(target, "/dev/"+name)
	}
}

// loopback brings 127.0.0.1 up, where the kernel has networking.
func loopback() {
	if out, err := exec.Command("/bin/busybox", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		fmt.Printf("vm: loopback: %v %s\n", err, out)
	}
}

func environment(job wire.Job) {
	for k, v := range map[string]string{
		"IVT_VM": "1", "HOME": "/root", "TMPDIR": "/tmp", "USER": "root", "TERM": "linux",
		"PATH": "/work/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	} {
		os.Setenv(k, v)
	}
	for k, v := range job.Env {
		os.Setenv(k, v)
	}
}

// load loads the modules that there are and says which those were.
func load(names []string) string {
	var loaded []string
	for _, n := range names {
		err := kmod.Load(n)
		if err == nil {
			loaded = append(loaded, n)
		} else if !errors.Is(err, kmod.ErrAbsent) {
			fmt.Println("vm:", err)
		}
	}
	// configfs may have been a module.
	if err := unix.Mount("configfs", "/sys/kernel/config", "configfs", 0, ""); err == nil {
		loaded = append(loaded, "(configfs mounted)")
	}
	return "modules loaded: " + strings.Join(loaded, " ")
}
