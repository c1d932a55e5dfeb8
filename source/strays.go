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
func straysOf(device int) (holders []irq.Holder) {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err == nil && pid != os.Getpid() && hasCopy(pid, device) {
			holders = append(holders, processHolder(pid))
		}
	}
	return holders
}

// hasCopy reports whether a process has the same open file.
func hasCopy(pid, device int) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false // gone, or not ours to look into
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || target != "anon_inode:[vfio-device]" && !strings.HasPrefix(target, "/dev/vfio/devices/") {
			continue
		}
		if n, err := strconv.Atoi(e.Name()); err == nil {
			if same, err := kernel.SameFile(device, pid, n); err == nil && same {
				return true
			}
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
