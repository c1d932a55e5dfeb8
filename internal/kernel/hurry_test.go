//go:build linux

package kernel

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// To close a socket that lingers for an hour takes no hour.
func TestHurryCutsLingeringShort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	reader, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for err == nil {
		_, err = unix.SendmsgN(fd, make([]byte, 1<<16), nil, nil, unix.MSG_DONTWAIT)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600}); err != nil {
		t.Fatal(err)
	}
	Hurry(func() { Close(fd) })
}

// Only a record, be it empty, is one: not the end, nor nothing.
func TestHasRecord(t *testing.T) {
	ours, theirs, err := Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer Close(ours)
	check := func(what string, want bool) {
		t.Helper()
		if got, err := HasRecord(ours); got != want || err != nil {
			t.Errorf("%s: %t, %v", what, got, err)
		}
	}
	check("nothing", false)
	if err := Send(theirs, nil); err != nil {
		t.Fatal(err)
	}
	check("an empty record", true)
	Close(theirs)
	check("an empty record before the end", true)
	if _, err := Discard(ours); err != nil {
		t.Fatal(err)
	}
	check("the end", false)
}
