package kernel

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ReserveDescriptors makes sure that the n descriptors from first on belong to nobody in this program, so that Place may use
// them later: free ones are taken by /dev/null, those that this process inherited stay as they are until then. It has to be
// called before the program opens anything, for one of its own in the range is unix.EBUSY.
func ReserveDescriptors(first, n int) error {
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(null)
	for fd := first; fd < first+n; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		switch {
		case fd == null:
			// It is in the range itself: put a copy there when it is closed below.
			if null, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, first+n); err != nil {
				return err
			}
		case errors.Is(err, unix.EBADF):
			if err := unix.Dup3(null, fd, unix.O_CLOEXEC); err != nil {
				return err
			}
		case err != nil:
			return err
		case flags&unix.FD_CLOEXEC != 0:
			return unix.EBUSY
		}
	}
	return nil
}

// Place puts copies of fds at first, first+1, … which survive an execve(2), instead of what is there (dup3(2)).
func Place(first int, fds []int) error {
	for i, fd := range fds {
		if err := unix.Dup3(fd, first+i, 0); err != nil {
			return err
		}
	}
	return nil
}
