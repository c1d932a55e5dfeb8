package daemon

import (
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
)

// park sends copies of every socket that this process has to a socket where nobody takes them: there they outlive it.
func park(path string) error {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	var sockets []int
	for _, e := range entries {
		fd, _ := strconv.Atoi(e.Name())
		if _, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE); err == nil {
			sockets = append(sockets, fd)
		}
	}
	_, _, err = conn.(*net.UnixConn).WriteMsgUnix([]byte("parked"), syscall.UnixRights(sockets...), nil)
	return err
}

// parked takes what was parked.
func parked(t *testing.T, l *net.UnixListener) (fds []int) {
	t.Helper()
	conn, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	control := make([]byte, 1024)
	_, n, _, _, err := conn.ReadMsgUnix(make([]byte, 16), control)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := syscall.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 {
		t.Fatal(len(messages), err)
	}
	if fds, err = syscall.ParseUnixRights(&messages[0]); err != nil {
		t.Fatal(err)
	}
	return fds
}

// say writes what could be an acknowledgement.
func say(fd int) error {
	_, err := syscall.SendmsgN(fd, make([]byte, 8), nil, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
	return err
}

// TestRule6ParkedDescriptorsHoldNothing: a holder has put all its sockets, the lifeline among them, where they outlive it. It is dead all
// the same, and whoever finds them afterwards can neither read what the next holder is sent nor say anything in its place.
func TestRule6ParkedDescriptorsHoldNothing(t *testing.T) {
	d := serve(t, "")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: t.TempDir() + "/s"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	holder := d.driver()
	holder.connect("soft:demo/3")
	holder.granted(order{Do: "park", Vectors: []string{l.Addr().String()}})
	holder.kill()
	d.becomes("soft:demo/3", irq.StateFree)
	next := d.connect("soft:demo/3")
	found := parked(t, l)
	defer raw{}.closeAll(found)
	if len(found) < 3 {
		t.Fatalf("only %d were parked; want the session, the lifeline and the stream", len(found))
	}
	for _, fd := range found {
		say(fd) // what comes in the session is from somebody else
	}
	d.raise("soft:demo/3", 2)
	i := wait(t, next)
	if i.Rang && i.Count == 0 { // for what may have come between the two
		i = wait(t, next)
	}
	if i.Count != 2 {
		t.Errorf("the next holder got %+v", i)
	}
	for _, fd := range found {
		kind, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
		if err != nil || kind != syscall.SOCK_SEQPACKET {
			continue // the session
		}
		buffer := make([]byte, 256)
		for {
			n, _, err := syscall.Recvfrom(fd, buffer, syscall.MSG_DONTWAIT)
			if n <= 0 || err != nil {
				if errors.Is(err, syscall.EAGAIN) {
					t.Errorf("descriptor %d is still open at the other end", fd)
				}
				break
			}
		}
		if err := say(fd); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("what is written to it is %v, want that nobody listens", err)
		}
	}
}

// TestNobodyElsesInterrupts: who may not use a vector can neither add to what its holder gets nor keep anything from it, whatever he knows
// of the connection.
func TestNobodyElsesInterrupts(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=8\n[[allow]]\nvectors=[\"soft:demo/1\"]\nuid=4241\n")
	holder := startDriver(t, d.socket, asUser(t, 4241, 4242))
	held := holder.connect("soft:demo/1")
	stranger := startDriver(t, d.socket, asUser(t, 4243, 4242))
	vector := []string{"soft:demo/1"}
	for range 3 {
		for _, o := range []order{
			{Do: "ring", Vectors: vector}, {Do: "raise", Vectors: vector},
			{Do: "mask as", Connection: held.Connection, Generation: held.Generation, Vectors: vector},
			{Do: "disconnect as", Connection: held.Connection, Generation: held.Generation},
			{Do: "resume", Connection: held.Connection, Token: held.Token},
			{Do: "connect", Vectors: vector, Wait: true, Timeout: time.Second},
		} {
			_, refusal := stranger.do(o)
			refused(t, refusal, irq.ErrAccessDenied)
		}
	}
	d.raise("soft:demo/1", 1)
	if a := holder.granted(order{Do: "wait"}); a.Interrupt.Count != 1 || a.Interrupt.Arrived != 1 {
		t.Errorf("the holder got %+v", a.Interrupt)
	}
	if i := d.info("soft:demo/1"); i.Masked || i.Waiting != 0 || i.Holders[0].PID != holder.pid() {
		t.Errorf("%+v", i)
	}
}
