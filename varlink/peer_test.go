//go:build linux

package varlink

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// childTask is the environment variable that makes this test binary write its value to descriptor 3
// and wait until its standard input ends.
const childTask = "VARLINK_TEST_CHILD_WRITES"

func init() {
	if text := os.Getenv(childTask); text != "" {
		_, err := os.NewFile(3, "socket").WriteString(strings.ReplaceAll(text, "%", "\x00"))
		fmt.Println("written", err)
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}
}

// childWrites has a child process write to a socket of ours ('%' stands for NUL), and returns its pid.
// The child lives until the test's end.
func childWrites(t *testing.T, p rawPeer, text string) (pid int) {
	t.Helper()
	socket, err := p.File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childTask+"="+text)
	child.ExtraFiles = []*os.File{socket}
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); _ = child.Wait() })
	if said, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || said != "written <nil>\n" {
		t.Fatalf("the child said %q, %v", said, err)
	}
	return child.Process.Pid
}

func TestPeerAndSender(t *testing.T) {
	b := serve(t, nil)
	p := dialRaw(t, b.address)
	me := Credentials{PID: os.Getpid(), UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	p.send(request1("Note", "{}"))
	if call := <-b.notes; call.Sender != me || call.Peer().Credentials != me {
		t.Errorf("sender %+v, peer %+v, want %+v", call.Sender, call.Peer().Credentials, me)
	}
	// A child speaks with its parent's connection, and not with its parent's name.
	child := me
	child.PID = childWrites(t, p, strings.ReplaceAll(request1("Note", "{}"), "\x00", "%"))
	if call := <-b.notes; call.Sender != child || call.Peer().Credentials != me {
		t.Errorf("sender %+v, peer %+v, want %+v and %+v", call.Sender, call.Peer().Credentials, child, me)
	}
}

// What was sent before the server serves has its sender, too, if the listener asked in time.
func TestSenderBeforeServe(t *testing.T) {
	for name, listen := range map[string]func(address string) (net.Listener, error){
		"Listen": func(address string) (net.Listener, error) { return Listen(bounded(t), address) },
		"any":    func(address string) (net.Listener, error) { return net.Listen("unix", address) },
	} {
		t.Run(name, func(t *testing.T) {
			var s Server
			senders := make(chan Credentials, 1)
			err := s.Register("interface a.b\nmethod M() -> ()", map[string]Handler{"M": func(c *Call) error {
				senders <- c.Sender
				return c.Reply(nil)
			}})
			if err != nil {
				t.Fatal(err)
			}
			address := t.TempDir() + "/s"
			l, err := listen(address)
			if err != nil {
				t.Fatal(err)
			}
			p := dialRaw(t, address)
			p.send(`{"method":"a.b.M"}` + "\x00")
			served := make(chan error)
			go func() { served <- s.Serve(l) }()
			if sender := <-senders; sender.PID != os.Getpid() && !(name == "any" && sender.PID == 0) {
				t.Errorf("sender of what was sent before Serve: %+v", sender)
			}
			p.send(`{"method":"a.b.M"}` + "\x00")
			if sender := <-senders; sender.PID != os.Getpid() {
				t.Errorf("sender of what was sent later: %+v", sender)
			}
			s.Close()
			<-served
		})
	}
}

func TestTwoWritersOfOneMessage(t *testing.T) {
	b := serve(t, nil)
	p := dialRaw(t, b.address)
	text := request1("Note", "{}")
	p.send(text[:20])
	childWrites(t, p, strings.ReplaceAll(text[20:], "\x00", "%"))
	if told := p.untilEOF(); !strings.Contains(told, "two processes wrote it") {
		t.Errorf("they were told %q", told)
	}
}

func TestPeerGroups(t *testing.T) {
	b := serve(t, nil)
	echoes(t, dial(t, b.address))
	want, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	got, err := dial(t, b.address).Peer().Groups() // the server is this process as well
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range got {
		if !slices.Contains(want, int(g)) {
			t.Errorf("groups %v, want %v", got, want)
		}
	}
	if len(got) != len(want) {
		t.Errorf("groups %v, want %v", got, want)
	}
}

// The pidfd is of who connected, and tells when it is dead.
func TestPeerPidfd(t *testing.T) {
	c := dial(t, serve(t, nil).address)
	fd, exact, err := c.Peer().Pidfd()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, 0, nil, 0); err != nil {
		t.Errorf("a living peer: %v", err)
	}
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil || !strings.Contains(string(info), fmt.Sprintf("Pid:\t%d\n", os.Getpid())) {
		t.Errorf("exact %v, the pidfd is of %s, %v", exact, info, err)
	}
}
