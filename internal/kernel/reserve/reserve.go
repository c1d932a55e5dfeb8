// Package reserve keeps low descriptors free for a program that is to be executed in place of this one.
//
// Socket activation wants descriptors from 3 on (sd_listen_fds(3)). By the time that main runs, Go's poller may
// have its own there, opened by some package's initialisation, and must not lose them. So this package takes the
// numbers first: it imports syscall alone, and Go initialises packages as soon as their imports are (Go
// specification, "Program initialization"), before anything that can open a file. It does so only when the command line has
// a "--" argument, which is where the name of such a program stands.
package reserve

import "syscall"

// First is SD_LISTEN_FDS_START.
const First = 3

// most is how many are reserved at most: what fits into one message of a socket, twice, and a few.
const most = 512

// Count is how many descriptors from First on are free for the program to be executed.
var Count = take(wanted(commandLine()))

// take puts /dev/null on every free number of the range. Numbers that are in use already belong to the
// parent, or are the two that Go's runtime reads the CPU quota from; it does without (runtime/cgroup_linux.go).
func take(n int) int {
	if n == 0 {
		return 0
	}
	null, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	for fd := First; fd < First+n; fd++ {
		if fd == null {
			continue
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0); errno != syscall.EBADF {
			continue
		}
		if err := syscall.Dup3(null, fd, syscall.O_CLOEXEC); err != nil {
			return fd - First // beyond RLIMIT_NOFILE
		}
	}
	return n
}

// wanted is an upper bound for the descriptors of a command line: two for each word before "--" or for the largest number
// among them (--any N), and the lifeline, the device and its container.
func wanted(words []string) int {
	count, largest := 0, 0
	for _, w := range words {
		if w == "--" {
			return min(2*max(count, largest)+3, most)
		}
		count++
		largest = max(largest, number(w))
	}
	return 0
}

// number reads digits at the end of a word: "4", "--any=4".
func number(w string) int {
	n, unit := 0, 1
	for i := len(w) - 1; i >= 0 && w[i] >= '0' && w[i] <= '9' && unit <= most; i-- {
		n += int(w[i]-'0') * unit
		unit *= 10
	}
	return n
}

func commandLine() []string {
	fd, err := syscall.Open("/proc/self/cmdline", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	var words []string
	var word []byte
	buffer := make([]byte, 4096)
	for {
		n, err := syscall.Read(fd, buffer)
		if n <= 0 || err != nil {
			return words
		}
		for _, c := range buffer[:n] {
			if c != 0 {
				word = append(word, c)
				continue
			}
			words, word = append(words, string(word)), word[:0]
		}
	}
}
