package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ivtd/ivt/internal/kernel"
)

// A Lock is the right to serve a socket, held by this process until Close or its death. It is an flock on
// the file SOCKET.lock, which stays there and says who has it.
type Lock struct{ file *os.File }

// served is what a lock file says.
type served struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

// File is the open lock file, for who must keep the lock across a restart.
func (l *Lock) File() *os.File { return l.file }

// Close gives the lock back.
func (l *Lock) Close() error { return l.file.Close() }

// AcquireLock takes the lock of a socket. If another ivtd has it the error says which one, since when.
func AcquireLock(socket string) (*Lock, error) {
	name := socket + ".lock"
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, unusable(socket, err)
	}
	err = kernel.LockFile(int(file.Fd()))
	if errors.Is(err, syscall.EAGAIN) {
		err = fmt.Errorf("%s is served already, by %s", socket, holderOf(file))
	} else if err == nil {
		err = sign(file)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Lock{file}, nil
}

// sign writes who has the lock.
func sign(file *os.File) error {
	text, err := json.Marshal(served{os.Getpid(), time.Now().Round(time.Second)})
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt(append(text, '\n'), 0)
	}
	if err != nil {
		return fmt.Errorf("sign the lock %s: %w", file.Name(), err)
	}
	return nil
}

func holderOf(file *os.File) string {
	text := make([]byte, 256)
	n, _ := file.ReadAt(text, 0) // EOF is usual
	var by served
	if err := json.Unmarshal(text[:n], &by); err != nil || by.PID == 0 {
		return "a process that " + file.Name() + " does not name"
	}
	return fmt.Sprintf("pid %d since %s", by.PID, by.Since.Local().Format("2006-01-02 15:04:05"))
}

// Listen makes the socket that the lock is for, with the given mode. A socket file that nobody serves any more
// is replaced; one that somebody serves, or a file that is no socket, is not touched.
func (l *Lock) Listen(socket string, mode os.FileMode) (*net.UnixListener, error) {
	if err := clearStale(socket); err != nil {
		return nil, err
	}
	listener, err := passing.Listen(context.Background(), "unix", socket)
	if err != nil {
		return nil, unusable(socket, err)
	}
	if err := os.Chmod(socket, mode); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener.(*net.UnixListener), nil
}

// passing makes listeners whose sessions bring the credentials of their messages from the first one on: sessions
// have SO_PASSCRED as the listener had it when they connected (Linux 6.16), so it is set before anybody can.
var passing = net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = kernel.PassCredentials(int(fd)) })
	return errors.Join(err, failed)
}}

func clearStale(socket string) error {
	info, err := os.Lstat(socket)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unusable(socket, err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and no socket: remove it, or choose another with --socket", socket)
	}
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err == nil {
		defer conn.Close()
		return fmt.Errorf("%s is served already, by %s", socket, peerOf(conn))
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return unusable(socket, err)
	}
	if err := os.Remove(socket); err != nil {
		return unusable(socket, err)
	}
	return nil
}

// peerOf names the process that listens.
func peerOf(conn net.Conn) string {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return "an unknown process"
	}
	name := "an unknown process"
	raw.Control(func(fd uintptr) {
		if c, err := kernel.PeerCredentials(int(fd)); err == nil && c.Pid != 0 {
			name = fmt.Sprintf("pid %d, which is not an ivtd with its lock", c.Pid)
		}
	})
	return name
}

// unusable says what can be done about a place where the socket cannot be.
func unusable(socket string, err error) error {
	dir := filepath.Dir(socket)
	switch {
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s cannot be written: %w; mount it writable (RuntimeDirectory=ivtd in the unit) or choose another place with --socket", dir, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s cannot be written as uid %d: %w; run ivtd as root, with --user, or choose another place with --socket", dir, os.Getuid(), err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist: create it, or choose another place with --socket", dir)
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENAMETOOLONG):
		return fmt.Errorf("%s has %d bytes, and the path of a socket at most 107: choose another place with --socket", socket, len(socket))
	}
	return fmt.Errorf("socket %s: %w", socket, err)
}
