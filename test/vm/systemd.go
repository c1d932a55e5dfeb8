package vm

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ivtd/ivt/test/vm/cpio"
)

// vmService runs the job when systemd has set the machine up.
const vmService = `[Unit]
Description=tests of the VM
Requires=basic.target
After=basic.target
FailureAction=poweroff-immediate

[Service]
ExecStart=/init run
StandardInput=null
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
Delegate=yes
OOMScoreAdjust=-900
`

// masked are units that would only cost time, or wait for devices that no udev
// announces.
var masked = []string{
	"systemd-update-done.service", "ldconfig.service", "systemd-random-seed.service", "systemd-sysusers.service",
	"systemd-firstboot.service", "systemd-journal-catalog-update.service", "systemd-journal-flush.service",
	"systemd-machine-id-commit.service", "systemd-hwdb-update.service", "systemd-binfmt.service",
	"systemd-pcrphase.service", "systemd-pcrphase-sysinit.service", "systemd-pcrmachine.service",
	"systemd-tpm2-setup.service", "systemd-tpm2-setup-early.service", "systemd-hibernate-clear.service",
	"systemd-modules-load.service", "kmod-static-nodes.service", "proc-sys-fs-binfmt_misc.automount",
	"systemd-ask-password-console.path", "systemd-update-utmp.service", "systemd-repart.service",
	"systemd-boot-system-token.service", "systemd-timesyncd.service", "systemd-pstore.service",
	"sys-fs-fuse-connections.mount", "dev-hugepages.mount", "tmp.mount", "modprobe@.service",
	"systemd-tmpfiles-setup-dev.service", "systemd-tmpfiles-setup-dev-early.service", "systemd-remount-fs.service",
	"systemd-tmpfiles-clean.timer", "systemd-hostnamed.socket", "systemd-sysext.socket", "systemd-creds.socket",
	"systemd-pcrextend.socket", "systemd-pcrlock.socket", "systemd-initctl.socket", "systemd-sysctl.service",
}

// systemdInit is what a job says to become systemd.
const systemdInit = "/usr/lib/systemd/systemd"

// systemdRoot returns the root file system for a package's //vm:init, "" for
// none: "systemd" is that of Debian trixie or IVT_TEST_SYSTEMD, "systemd/bookworm" of bookworm.
func (s *suite) systemdRoot(ctx context.Context, init string) (string, error) {
	name, suite, _ := strings.Cut(init, "/")
	switch {
	case init == "":
		return "", nil
	case name != "systemd":
		return "", fmt.Errorf("unknown //vm:init %s", init)
	case suite == "":
		suite = cmp.Or(os.Getenv("IVT_TEST_SYSTEMD"), "trixie")
	}
	return s.getter.Systemd(ctx, suite)
}

// addSystemd makes systemd run the job and nothing that tests do not need.
func addSystemd(a *cpio.Archive, rootfs string) {
	a.File("/etc/systemd/system/vm.service", 0o644, []byte(vmService))
	a.File("/etc/systemd/system/default.target", 0o644, []byte("[Unit]\nDescription=tests\nRequires=vm.service\nAfter=vm.service\n"))
	for _, unit := range masked {
		a.Link("/etc/systemd/system/"+unit, "/dev/null")
	}
	generators, _ := filepath.Glob(filepath.Join(rootfs, "usr/lib/systemd/system-generators/*"))
	for _, g := range generators {
		a.Link("/etc/systemd/system-generators/"+filepath.Base(g), "/dev/null")
	}
	a.File("/etc/systemd/journald.conf", 0o644, []byte("[Journal]\nStorage=volatile\n"))
	a.File("/etc/systemd/system.conf", 0o644, []byte("[Manager]\nStatusUnitFormat=name\nDefaultTimeoutStartSec=60s\n"))
}
