//go:build linux

package varlink

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// socketpair returns two connected bare ends.
func socketpair(t testing.TB) (a, b rawPeer) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]rawPeer
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(within))
		ends[i] = rawPeer{t, conn.(*net.UnixConn)}
	}
	return ends[0], ends[1]
}

// wires returns a connected pair: a wire to read from and a bare end to write to.
func wires(t testing.TB, limits Limits) (*wire, rawPeer) {
	t.Helper()
	a, b := socketpair(t)
	raw, err := a.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return newWire(a.UnixConn, raw, limits.forServer()), b
}

// greedyAndNot runs a test with both ways to read: without and with regard to descriptors.
func greedyAndNot(t *testing.T, test func(t *testing.T, descriptors int)) {
	t.Run("greedy", func(t *testing.T) { test(t, 0) })
	t.Run("peeking", func(t *testing.T) { test(t, maxDescriptors) })
}

// eventfds returns descriptors that say 1, 2, 3 and so on.
func eventfds(t testing.TB, n int) []int {
	t.Helper()
	fds := make([]int, n)
	for i := range fds {
		fd, err := unix.Eventfd(uint(i+1), unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		fds[i] = fd
	}
	return fds
}

// got is a message as these tests compare it.
type got struct {
	Text     string
	Counters []int
}

func readAll(t testing.TB, w *wire, n int) []got {
	t.Helper()
	var all []got
	for range n {
		m, err := w.read(0)
		if err != nil {
			t.Fatalf("after %v: %v", all, err)
		}
		g := got{Text: string(m.text)}
		for _, fd := range m.fds {
			g.Counters = append(g.Counters, counter(t, fd))
			unix.Close(fd)
		}
		all = append(all, g)
	}
	return all
}

// The kernel joins a message without and one with descriptors; each still has its own.
func TestDescriptorsStayWithTheirMessage(t *testing.T) {
	w, p := wires(t, Limits{Descriptors: 253})
	fds := eventfds(t, 3)
	p.send("m1\x00")
	p.send("m2\x00", fds[0], fds[1])
	p.send("m3\x00")
	p.send("m4\x00m5\x00", fds[2]) // one sendmsg: the first of the two has them
	p.send("m6 begins")
	p.send(" and ends\x00m7\x00")
	want := []got{{"m1", nil}, {"m2", []int{1, 2}}, {"m3", nil}, {"m4", []int{3}}, {"m5", nil}, {"m6 begins and ends", nil}, {"m7", nil}}
	if diff := cmp.Diff(want, readAll(t, w, len(want))); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// Without the cure the hazard is real: this is what the kernel gives to one who just reads.
func TestKernelJoinsMessages(t *testing.T) {
	a, b := socketpair(t)
	b.send("m1\x00")
	b.send("m2\x00", eventfds(t, 1)...)
	b.send("m3\x00")
	frames, fds := a.receive()
	discardAll(fds)
	if len(frames) != 2 || len(fds) != 1 {
		t.Logf("this kernel gives %q with %d descriptors first", frames, len(fds))
	}
}

// What is unwanted is not even received: there is nothing to close.
func TestUnwantedIsNotReceived(t *testing.T) {
	w, p := wires(t, Limits{})
	w.unwanted = true
	if err := w.raw.Control(func(fd uintptr) { _, _ = prepareSession(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	p.send("m1\x00m2\x00", eventfds(t, 10)...)
	for _, want := range []string{"m1", "m2"} {
		m, err := w.read(0)
		if err != nil || string(m.text) != want || m.fds != nil || m.lost != (want == "m1") || m.sender.PID != unix.Getpid() {
			t.Errorf("read %+v, %v", m, err)
		}
	}
}

func TestDescriptorsInTheMiddleOfAMessage(t *testing.T) {
	w, p := wires(t, Limits{})
	fds := eventfds(t, 2)
	p.send("one")
	p.send(" message", fds[0])
	p.send(" in parts\x00", fds[1])
	want := []got{{"one message in parts", []int{1, 2}}}
	if diff := cmp.Diff(want, readAll(t, w, 1)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// A peek sees no more than the socket holds (219,264 bytes by default), which must not stall a longer
// message.
func TestLongMessages(t *testing.T) { greedyAndNot(t, testLongMessages) }

func testLongMessages(t *testing.T, descriptors int) {
	w, p := wires(t, Limits{MessageSize: 4 << 20, Descriptors: descriptors})
	fds := eventfds(t, 1)
	for _, size := range []int{4095, 4096, 4097, 8191, 219264, 3 << 20} {
		text := strings.Repeat("x", size)
		sent := make(chan error, 1)
		go func() {
			n, _, err := p.WriteMsgUnix([]byte(text+"\x00"), rights(fds), nil)
			if err == nil && n <= size {
				_, err = p.Write([]byte(text + "\x00")[n:])
			}
			sent <- err
		}()
		m, err := w.read(0)
		if err != nil || string(m.text) != text || len(m.fds) != 1 {
			t.Fatalf("message of %d bytes: %d bytes, %d descriptors, %v", size, len(m.text), len(m.fds), err)
		}
		discardAll(m.fds)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
}

func TestMessageSizeIsALimit(t *testing.T) { greedyAndNot(t, testMessageSize) }

func testMessageSize(t *testing.T, descriptors int) {
	for _, size := range []int{10, 4096, 100000} {
		w, p := wires(t, Limits{MessageSize: size, Descriptors: descriptors})
		p.send(strings.Repeat("x", size) + "\x00")
		if m, err := w.read(0); err != nil || len(m.text) != size {
			t.Errorf("a message of %d bytes, which is the limit: %v", size, err)
		}
		p.send(strings.Repeat("x", size+1)+"\x00", eventfds(t, 1)...)
		if _, err := w.read(0); !errors.Is(err, ErrMessageTooLong) {
			t.Errorf("a message of %d bytes, over the limit: %v", size+1, err)
		}
	}
}

func TestWriteManyDescriptors(t *testing.T) {
	w, p := wires(t, Limits{})
	fds := slices.Repeat(eventfds(t, 1), 254)
	err := w.write([]byte("x\x00"), fds)
	if !errors.Is(err, unix.EINVAL) || !errors.Is(err, errUnsaid) {
		t.Errorf("254 descriptors: %v", err)
	}
	if err := w.write([]byte("x\x00"), fds[:253]); err != nil {
		t.Fatalf("253 descriptors after that: %v", err)
	}
	frames, got := p.receive()
	discardAll(got)
	if len(frames) != 1 || len(got) != 253 {
		t.Errorf("%q arrived with %d descriptors", frames, len(got))
	}
}

// What does not fit into the descriptor table is lost, and that is noticed.
func TestLostDescriptorsAreNoticed(t *testing.T) { greedyAndNot(t, testLostDescriptors) }

func testLostDescriptors(t *testing.T, descriptors int) {
	w, p := wires(t, Limits{Descriptors: descriptors})
	p.send("x\x00", slices.Repeat(eventfds(t, 1), 20)...)
	restore := fileLimit(t, 5)
	m, err := w.read(0)
	restore()
	if err != nil || !m.lost || len(m.fds) >= 20 {
		t.Errorf("20 descriptors with room for 5: %d arrived, lost is %v, error %v", len(m.fds), m.lost, err)
	}
	discardAll(m.fds)
}

// fileLimit lets this process open only so many more files.
func fileLimit(t testing.TB, more int) (restore func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	// The lowest free numbers are what the limit must leave room for.
	probes := make([]int, 0, more+1)
	for range more + 1 {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		probes = append(probes, fd)
	}
	limit := unix.Rlimit{Cur: uint64(probes[more]), Max: before.Max}
	for _, fd := range probes {
		unix.Close(fd)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStalledMessage(t *testing.T) { greedyAndNot(t, testStalledMessage) }

func testStalledMessage(t *testing.T, descriptors int) {
	w, p := wires(t, Limits{MessageTime: time.Millisecond, Descriptors: descriptors})
	p.send("begun", eventfds(t, 1)...)
	if _, err := w.read(0); err != errStalled {
		t.Errorf("a message without an end: %v", err)
	}
}

func TestEndOfStream(t *testing.T) { greedyAndNot(t, testEndOfStream) }

func testEndOfStream(t *testing.T, descriptors int) {
	w, p := wires(t, Limits{Descriptors: descriptors})
	p.send("x\x00half")
	p.Close()
	readAll(t, w, 1)
	if _, err := w.read(0); err != io.ErrUnexpectedEOF {
		t.Errorf("end within a message: %v", err)
	}
	w, p = wires(t, Limits{Descriptors: descriptors})
	p.Close()
	if _, err := w.read(0); err != io.EOF {
		t.Errorf("end between messages: %v", err)
	}
}

// However the bytes arrive, the messages are what stands between the NULs.
func FuzzWire(f *testing.F) {
	f.Add([]byte("a\x00bc\x00\x00d"), []byte{1, 2, 3})
	f.Add(bytes.Repeat([]byte("0123456789abcdef\x00"), 500), []byte{255, 7})
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		fuzzWire(t, stream, cuts, Limits{MessageSize: 1 << 20})
		fuzzWire(t, stream, cuts, Limits{MessageSize: 1 << 20, Descriptors: 1})
	})
}

func fuzzWire(t *testing.T, stream, cuts []byte, limits Limits) {
	w, p := wires(t, limits)
	go func() {
		defer p.Close()
		rest := stream
		for i := 0; len(rest) > 0; i++ {
			n := len(rest)
			if len(cuts) > 0 {
				n = min(n, 1+17*int(cuts[i%len(cuts)]))
			}
			if _, err := p.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	want := bytes.Split(stream, []byte{0})
	for i, text := range want {
		m, err := w.read(0)
		if i == len(want)-1 {
			if len(text) > 0 && err != io.ErrUnexpectedEOF || len(text) == 0 && err != io.EOF {
				t.Fatalf("the end is %v after %q", err, text)
			}
			return
		}
		if err != nil || !bytes.Equal(m.text, text) {
			t.Fatalf("message %d is %q, %v, want %q", i, m.text, err, text)
		}
	}
}
