package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ivtd/ivt/internal/kernel"
)

// A store stands in for systemd: it has the socket that ivtd listens on, keeps the descriptors that ivtd's keeper gives
// it (sd_pid_notify_with_fds(3)), and hands them to the next keeper as sd_listen_fds(3) has it. What it does not do is
// to start services, to limit them, and to notice hang-ups.
type store struct {
	socket *net.UnixConn
	path   string
	listen *os.File

	mu      sync.Mutex
	held    map[string][]kept // by name; names need not differ
	inodes  map[uint64]bool   // of all that is held: ivtd's files have one each
	problem error
	reading sync.WaitGroup
}

type kept struct {
	file  *os.File
	inode uint64
}

func openStore(folder string) (*store, error) {
	s := &store{path: folder + "/notify", held: map[string][]kept{}, inodes: map[uint64]bool{}}
	var err error
	if s.socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path, Net: "unixgram"}); err != nil {
		return nil, err
	}
	l, err := listenPassing(folder + "/s")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if s.listen, err = l.File(); err != nil {
		return nil, err
	}
	s.reading.Go(s.read)
	return s, nil
}

// listenPassing does what PassCredentials=yes of ivtd.socket does.
func listenPassing(path string) (*net.UnixListener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	raw, err := l.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1)
		})
		err = errors.Join(err, failed, os.Chmod(path, 0o666))
	}
	return l, err
}

func (s *store) close() {
	s.socket.Close()
	s.reading.Wait()
	s.listen.Close()
	for name := range s.held {
		s.remove(name)
	}
}

func (s *store) remove(name string) {
	for _, k := range s.held[name] {
		delete(s.inodes, k.inode)
		k.file.Close()
	}
	delete(s.held, name)
}

// read takes what keepers say.
func (s *store) read() {
	text, control := make([]byte, 4096), make([]byte, 4096)
	for {
		n, oob, _, _, err := s.socket.ReadMsgUnix(text, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.mu.Lock()
		if err = errors.Join(err, s.take(string(text[:n]), control[:oob])); err != nil {
			s.problem = errors.Join(s.problem, err)
		}
		s.mu.Unlock()
	}
}

func (s *store) take(text string, control []byte) error {
	words := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		words[key] = value
	}
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return err
	}
	var fds []int
	for _, m := range messages {
		got, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return err
		}
		fds = append(fds, got...)
	}
	name := words["FDNAME"]
	switch {
	case words["FDSTOREREMOVE"] == "1":
		s.remove(name)
	case words["FDSTORE"] == "1" && len(fds) == 1:
		if words["FDPOLL"] != "0" {
			err = fmt.Errorf("%s is stored without FDPOLL=0", name)
		}
		_, inode, failed := kernel.FileIdentity(fds[0])
		if err = errors.Join(err, failed); err != nil || s.inodes[inode] {
			break // a file that is there already is not stored again, as systemd has it, whatever the name
		}
		s.inodes[inode] = true
		s.held[name] = append(s.held[name], kept{os.NewFile(uintptr(fds[0]), name), inode})
		return nil
	case words["FDSTORE"] == "1":
		err = fmt.Errorf("%d descriptors in one message", len(fds))
	}
	for _, fd := range fds { // of BARRIER=1: closing it is the answer
		syscall.Close(fd)
	}
	return err
}

// settle waits until everything that a dead keeper said is read.
func (s *store) settle() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	socket, err := kernel.DatagramSocket()
	if err == nil {
		err = kernel.SendTo(socket, s.path, []byte("BARRIER=1"), int(w.Fd()))
		kernel.Close(socket)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	r.Read(make([]byte, 1)) // its end
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

// pass arranges that a program starts with the socket and everything that is held. It goes through a shell, since
// LISTEN_PID is its own pid.
func (s *store) pass(p *exec.Cmd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := []string{"s"}
	p.ExtraFiles = []*os.File{s.listen}
	for name, files := range s.held {
		for _, k := range files {
			names, p.ExtraFiles = append(names, name), append(p.ExtraFiles, k.file)
		}
	}
	p.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, p.Args...)
	p.Path = "/bin/sh"
	p.Env = append(os.Environ(), "NOTIFY_SOCKET="+s.path, "LISTEN_FDS="+strconv.Itoa(len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
}
