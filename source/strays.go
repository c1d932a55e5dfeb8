//go:build linux

package source

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// straysOf returns the other processes that have a copy of a VFIO device descriptor, as far as this process may look
// (ptrace(2) access). Copies that are in flight between processes are nowhere to be seen.
func straysOf(device int) []irq.Holder {
	return processesWith(func(pid, fd int, target string) bool {
		if target != "anon_inode:[vfio-device]" && !strings.HasPrefix(target, "/dev/vfio/devices/") {
			return false
		}
		same, err := kernel.SameFile(device, pid, fd) // an error: it is gone, or the kernel has no kcmp
		return err == nil && same
	})
}

// openersOf returns the other processes that have a file open, by its path.
func openersOf(path string) []irq.Holder {
	return processesWith(func(_, _ int, target string) bool { return target == path })
}

// processesWith returns the other processes of which a descriptor fits.
func processesWith(fits func(pid, fd int, target string) bool) (holders []irq.Holder) {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, p := range processes {
		if pid, err := strconv.Atoi(p.Name()); err == nil && pid != os.Getpid() && hasSuch(pid, fits) {
			holders = append(holders, processHolder(pid))
		}
	}
	return holders
}

// hasSuch reports whether a descriptor of a process fits.
func hasSuch(pid int, fits func(pid, fd int, target string) bool) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false // gone, or not ours to look into
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if fd, bad := strconv.Atoi(e.Name()); err == nil && bad == nil && fits(pid, fd, target) {
			return true
		}
	}
	return false
}

// processHolder names a process by what /proc tells of it.
func processHolder(pid int) irq.Holder {
	h := irq.Holder{Kind: irq.HolderProcess, PID: pid}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	if comm, err := os.ReadFile(filepath.Join(dir, "comm")); err == nil {
		h.Command = strings.TrimSpace(string(comm))
	}
	if info, err := os.Stat(dir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid := int(st.Uid), int(st.Gid)
			h.UID, h.GID = &uid, &gid
		}
	}
	return h
}
