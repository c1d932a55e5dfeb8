package daemon

import (
	"log/slog"
	"os"
	"path/filepath"

	"github.com/ivtd/ivt/internal/daemon/places"
	"github.com/ivtd/ivt/internal/kernel"
)

// Confine has the kernel take from this process what the machine's ivtd does not need (landlock(7)): it may read /proc, /sys, /etc and
// its policy, write its history and the devices, and execute nothing, whoever gets hold of it.
//
// A confined process cannot see either which processes have a device open (/proc/PID/fd takes ptrace access). So whoever can see that,
// root for one, is not confined: to name a holder is what ivtd is for. As the unit has it, ivtd cannot, and loses nothing.
func Confine(p places.Set, log *slog.Logger) {
	if _, err := os.ReadDir("/proc/1/fd"); err == nil {
		log.Debug("not confined by landlock: it could not name who has a device open then")
		return
	}
	left := map[string]kernel.Access{
		"/proc": kernel.MayRead, "/etc": kernel.MayRead, "/usr/share/zoneinfo": kernel.MayRead,
		"/sys": kernel.MayRead, "/sys/devices": kernel.MayRead | kernel.MayWrite, // uio_pci_generic: configuration space
		"/dev": kernel.MayRead | kernel.MayWrite | kernel.MayIoctl,
	}
	if p.Policy != "" {
		left[filepath.Dir(p.Policy)] |= kernel.MayRead
	}
	if p.History != "" {
		os.MkdirAll(filepath.Dir(p.History), 0o750) // afterwards it may be made no more; history says what is wrong
		left[filepath.Dir(p.History)] |= kernel.MayRead | kernel.MayWrite | kernel.MayMake
	}
	if err := kernel.Confine(left); err != nil {
		log.Warn("not confined by landlock", "err", err)
		return
	}
	log.Info("confined by landlock")
}
