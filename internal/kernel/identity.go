package kernel

import "golang.org/x/sys/unix"

// FileIdentity returns device and inode of an open file. Sockets and pipes have an inode of their own;
// eventfds share one with all anonymous inodes.
func FileIdentity(fd int) (dev, ino uint64, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, 0, err
	}
	return st.Dev, st.Ino, nil
}
