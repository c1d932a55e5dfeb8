package term

import (
	"os"

	"golang.org/x/sys/unix"
)

func terminalWidth(f *os.File) (columns int, ok bool) {
	c, err := f.SyscallConn()
	if err != nil {
		return 0, false
	}
	c.Control(func(fd uintptr) {
		if _, err := unix.IoctlGetTermios(int(fd), unix.TCGETS); err != nil {
			return
		}
		ok = true
		if size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ); err == nil {
			columns = int(size.Col)
		}
	})
	return columns, ok
}
