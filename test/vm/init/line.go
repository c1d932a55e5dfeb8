package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/ivtd/ivt/test/vm/wire"
	"golang.org/x/sys/unix"
)

// line is the serial line to the harness. Requests of several tests may be
// under way; answers find theirs by ID.
type line struct {
	tty *os.File

	mu      sync.Mutex
	last    int
	waiting map[int]chan wire.Frame
}

func openLine(path string) (*line, error) {
	tty, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := raw(int(tty.Fd())); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	l := &line{tty: tty, waiting: map[int]chan wire.Frame{}}
	go l.receive() // until power-off
	return l, nil
}

// raw stops the line from echoing and from translating newlines.
func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func (l *line) send(f wire.Frame) {
	text, err := json.Marshal(f)
	if err != nil {
		fmt.Println("vm:", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tty.Write(append(text, '\n'))
}

// note tells the harness something in the form of a kernel line.
func (l *line) note(text string) { l.send(wire.Frame{Kernel: "vm: " + text}) }

// drain returns when all that was sent has left the machine.
func (l *line) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	unix.IoctlSetInt(int(l.tty.Fd()), unix.TCSBRK, 1)
}

func (l *line) receive() {
	for sc := scanner(l.tty); sc.Scan(); {
		var f wire.Frame
		if err := json.Unmarshal(sc.Bytes(), &f); err != nil {
			fmt.Printf("vm: from the harness: %v: %q\n", err, sc.Text())
			continue
		}
		l.mu.Lock()
		ch := l.waiting[f.ID]
		delete(l.waiting, f.ID)
		l.mu.Unlock()
		if ch != nil {
			ch <- f
		}
	}
}

// ask sends a request and waits for its answer.
func (l *line) ask(f wire.Frame) wire.Frame {
	ch := make(chan wire.Frame, 1)
	l.mu.Lock()
	l.last++
	f.ID = l.last
	l.waiting[f.ID] = ch
	l.mu.Unlock()
	l.send(f)
	return <-ch
}

// serve passes requests of the tests on to the harness.
func (l *line) serve(path string) error {
	os.Remove(path)
	ln, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	go func() { // until power-off
		for {
			c, err := ln.Accept()
			if err != nil {
				fmt.Println("vm:", err)
				return
			}
			go l.session(c)
		}
	}()
	return nil
}

func (l *line) session(c net.Conn) {
	defer c.Close()
	for sc := scanner(c); sc.Scan(); {
		var f wire.Frame
		if err := json.Unmarshal(sc.Bytes(), &f); err != nil {
			fmt.Println("vm: from a test:", err)
			return
		}
		if err := json.NewEncoder(c).Encode(l.ask(f)); err != nil {
			return
		}
	}
}

// forwardKernelLog sends what the kernel logs from now on; what it said before
// is on the console, as far as it is a warning.
func (l *line) forwardKernelLog() error {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/kmsg: %w", err)
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		return fmt.Errorf("/dev/kmsg: %w", err)
	}
	go func() { // until power-off
		buf := make([]byte, 8192)
		for {
			n, err := unix.Read(fd, buf)
			if err == nil {
				l.send(wire.Frame{Kernel: kernelLine(string(buf[:n]))})
			} else if !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.EINTR) { // EPIPE: some were overwritten
				return
			}
		}
	}()
	return nil
}

// kernelLine turns "4,629,1234567,-;text" into "[    1.234567] text".
func kernelLine(record string) string {
	head, text, _ := strings.Cut(record, ";")
	text, _, _ = strings.Cut(text, "\n")
	var prio, seq, usec uint64
	if _, err := fmt.Sscanf(head, "%d,%d,%d", &prio, &seq, &usec); err != nil {
		return text
	}
	return fmt.Sprintf("[%5d.%06d] %s", usec/1e6, usec%1e6, text)
}

func scanner(f interface{ Read([]byte) (int, error) }) *bufio.Scanner {
	sc := bufio.NewScanner(f)
	sc.Buffer(make([]byte, 64<<10), 16<<20)
	return sc
}
