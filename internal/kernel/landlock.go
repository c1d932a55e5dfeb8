//go:build linux

package kernel

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Access is what Confine leaves of a folder or file and of all that is below it (landlock(7), LANDLOCK_ACCESS_FS_*).
type Access uint64

// What there is to leave.
const (
	MayRead  Access = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	MayWrite Access = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	MayIoctl Access = unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	MayMake  Access = unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REFER

	// ofFiles are those that a rule for a file, not a folder, may have.
	ofFiles = unix.LANDLOCK_ACCESS_FS_READ_FILE | MayWrite | MayIoctl
)

// Confine takes from this process, for ever, every access to files but those that left gives, the program files among them; what is open
// stays open. Places that are not there are left out. Needs no privilege and sets no_new_privs.
//
// A confined process may also no longer look into processes outside (ptrace(2) access: /proc/PID/fd, for one).
//
// Errors: ENOSYS and EOPNOTSUPP where the kernel has no landlock (Linux 5.13); ENOTSUP in a program with cgo, whose threads Go cannot reach.
func Confine(left map[string]Access) error {
	handled, err := confinable()
	if err != nil {
		return err
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: uint64(handled)}
	rules, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if errno != 0 {
		return fmt.Errorf("landlock_create_ruleset: %w", errno)
	}
	defer unix.Close(int(rules))
	for path, access := range left {
		if err := leave(int(rules), path, access&handled); err != nil {
			return fmt.Errorf("landlock_add_rule %s: %w", path, err)
		}
	}
	if err := onAllThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if err := onAllThreads(unix.SYS_LANDLOCK_RESTRICT_SELF, rules, 0); err != nil {
		return fmt.Errorf("landlock_restrict_self: %w", err)
	}
	return nil
}

// confinable is all that the kernel can take away, by the version of its interface.
func confinable() (Access, error) {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, fmt.Errorf("landlock: %w", errno)
	}
	handled := Access(unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1) // version 1: all up to making symbolic links
	for at, access := range map[uintptr]Access{2: unix.LANDLOCK_ACCESS_FS_REFER, 3: unix.LANDLOCK_ACCESS_FS_TRUNCATE, 5: unix.LANDLOCK_ACCESS_FS_IOCTL_DEV} {
		if version >= at {
			handled |= access
		}
	}
	return handled, nil
}

func leave(rules int, path string, access Access) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if os.IsNotExist(err) || err == unix.ENOTDIR {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= ofFiles
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: uint64(access), Parent_fd: int32(fd)}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// onAllThreads makes a system call on every thread of the process; those to come inherit what it did.
func onAllThreads(trap, a, b uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(trap, a, b, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
