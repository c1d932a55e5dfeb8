package whole

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
	"github.com/ivtd/ivt/varlink"
)

const alice = 1001

// manyRefused is how many peers ivtd holds and hangs up on at a time (mostHeld and mostRefusals in package varlink).
const manyRefused = 256 + 64

// Descriptors that nobody asked for and that take for ever to drop are sent wherever somebody can send: on a session, by crowds who get
// none, on what a connection brings. Nobody else waits, not even when the worker is killed. Where the kernel can refuse descriptors
// (SO_PASSRIGHTS, Linux 6.16) it does.
func TestUnwantedDescriptorsStallNobody(t *testing.T) {
	guest.Require(t)
	kinds := map[string]func(t *testing.T) (make func() int, p *tarpit){
		"of a file whose closing is not answered": func(t *testing.T) (func() int, *tarpit) {
			p := newTarpit(t, false)
			return func() int { return p.file("file") }, p
		},
		"of a socket that lingers": func(t *testing.T) (func() int, *tarpit) { return func() int { return lingering(t) }, nil },
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			fresh, p := kind(t)
			w := start(t)
			h := &hostile{whole: w, fresh: fresh, refused: refuses(t)}
			holder := w.connected("soft:demo/0", "irq")
			end := h.onASession()
			w.goesOn(holder)
			end()
			end = h.crowd()
			for range manyRefused {
				h.isRefused()
			}
			end()
			w.goesOn(holder)
			for _, disconnects := range []bool{true, false} {
				h.onAConnection()(disconnects)
				w.goesOn(holder)
			}
			if p != nil {
				guest.Eventually(t, "all that was sent is dropped", func() bool { return p.released() == h.made })
				if n := p.stuck(); n > 0 {
					t.Errorf("ivtd closed %d files", n)
				}
			}
			w.restart()
			w.goesOn(holder)
		})
	}
}

// What has data to write back is different: to drop it is to wait for its file system. That nobody else does, but a worker that is
// killed meanwhile does not end before that file system says so, or is ended. What is held stays.
func TestUnwantedDescriptorsWithDataHoldWhoDropsThem(t *testing.T) {
	guest.Require(t)
	if refuses(t) {
		t.Skip("this kernel refuses descriptors")
	}
	p := newTarpit(t, true)
	h := &hostile{whole: start(t)}
	var names []string
	h.fresh = func() int {
		names = append(names, strconv.Itoa(len(names)))
		return p.file(names[len(names)-1])
	}
	holder := h.connected("soft:demo/0", "irq")
	end := h.onAConnection()
	for _, name := range names {
		p.write(name)
	}
	end(true)
	guest.Eventually(t, "lifeline and stream wait", func() bool { return p.stuck() >= 2 }) // the bell ended when one came on it
	h.goesOn(holder)
	former := h.pid()
	if err := unix.Kill(former, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.drain()
	guest.Eventually(t, "another worker serves", func() bool { return h.pid() != former })
	if i := h.info("soft:demo/0"); i.State != irq.StateConnected || i.Holders[0].PID != holder.Process.Pid {
		t.Errorf("what was held: %+v", i)
	}
	h.goesOn(holder)
}

// A hostile sends descriptors to ivtd.
type hostile struct {
	*whole
	fresh   func() int // makes one
	made    int
	refused bool // by the kernel, and it must
}

// send sends one on a socket and closes it.
func (h *hostile) send(socket int) {
	h.t.Helper()
	fd := h.fresh()
	err := unix.Sendmsg(socket, []byte("x"), unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL)
	h.settle(fd, err)
}

func (h *hostile) settle(fd int, err error) {
	h.t.Helper()
	if h.made++; h.refused != errors.Is(err, unix.EPERM) || err != nil && !h.refused {
		h.t.Errorf("descriptors were sent with %v, which the kernel refuses: %t", err, h.refused)
	}
	kernel.Hurry(func() { unix.Close(fd) }) // this may be the last one, and linger
}

// onASession sends one with a call, and one that is unread at the end.
func (h *hostile) onASession() (end func()) {
	h.t.Helper()
	c, err := varlink.Dial(h.t.Context(), "unix:"+h.socket)
	if err != nil {
		h.t.Fatal(err)
	}
	fd := h.fresh()
	_, err = c.CallDescriptors(h.t.Context(), "org.varlink.service.GetInfo", nil, nil, fd)
	h.settle(fd, err)
	other := h.dial(0)
	h.send(other)
	return func() { c.Close(); unix.Close(other) }
}

// crowd has a user open all the sessions that he may have.
func (h *hostile) crowd() (end func()) {
	h.t.Helper()
	for dir := h.socket; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil {
			h.t.Fatal(err)
		}
	}
	var sessions []int
	for range sessionsPerUser {
		sessions = append(sessions, h.dial(alice))
	}
	return func() {
		for _, fd := range sessions {
			unix.Close(fd)
		}
	}
}

// isRefused sends one on a socket that gets no session, unless it has been hung up on already.
func (h *hostile) isRefused() {
	h.t.Helper()
	socket, fd := h.dial(alice), h.fresh()
	err := unix.Sendmsg(socket, []byte("x"), unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL)
	if err == unix.EPIPE {
		err = nil
		if h.refused {
			err = unix.EPERM
		}
	}
	h.settle(fd, err)
	unix.Close(socket)
}

// onAConnection sends one on each socket that a connection and a doorbell bring: lifeline, stream and bell. It ends by a call, or by
// hanging up.
func (h *hostile) onAConnection() (end func(disconnects bool)) {
	h.t.Helper()
	c, err := varlink.Dial(h.t.Context(), "unix:"+h.socket)
	if err != nil {
		h.t.Fatal(err)
	}
	var all []int
	var connection struct {
		Connection string `json:"connection"`
		Generation uint64 `json:"generation"`
	}
	for method, in := range map[string]any{
		"Connect": map[string]any{"vectors": []string{"soft:demo/1"}}, "Doorbell": map[string]string{"vector": "soft:demo/1"},
	} {
		out := any(&connection)
		if method == "Doorbell" {
			out = nil
		}
		fds, err := c.CallDescriptors(h.t.Context(), api.Name+"."+method, in, out)
		if err != nil {
			h.t.Fatal(err)
		}
		for i := range fds.Len() {
			fd, err := fds.Take(i)
			if err != nil {
				h.t.Fatal(err)
			}
			all = append(all, fd)
		}
	}
	if len(all) != 3 {
		h.t.Errorf("%d descriptors came, not three", len(all))
	}
	for _, fd := range all {
		h.send(fd)
	}
	return func(disconnects bool) {
		if disconnects {
			if err := c.Call(h.t.Context(), api.Name+".Disconnect", connection, nil); err != nil {
				h.t.Error(err)
			}
		}
		for _, fd := range all {
			unix.Close(fd)
		}
		c.Close()
	}
}

// dial connects as a user.
func (w *whole) dial(uid int) (fd int) {
	w.t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	runtime.LockOSThread() // whose identity is its own
	defer runtime.UnlockOSThread()
	unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0))
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: w.socket})
	unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 0, ^uintptr(0))
	if err != nil {
		w.t.Fatal(err)
	}
	return fd
}

// goesOn checks that interrupts reach a holder, that a new session connects and disconnects, and that what a dead one held is free.
func (w *whole) goesOn(holder *driver) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), guest.Limit)
	defer cancel()
	if err := w.client.Raise(ctx, "soft:demo/0", 1); err != nil {
		w.t.Fatal(err)
	}
	holder.says("woken")
	c, err := ivt.Connect(ctx, "soft:demo/2", ivt.Socket(w.socket))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.Disconnect(ctx); err != nil {
		w.t.Fatal(err)
	}
	w.connected("soft:demo/3", "irq").kill()
	guest.Eventually(w.t, "the dead one's vector is free", func() bool { return w.info("soft:demo/3").State == irq.StateFree })
}

// refuses says whether the kernel can refuse descriptors.
func refuses(t *testing.T) bool {
	t.Helper()
	ours, theirs, err := kernel.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close(ours)
	defer kernel.Close(theirs)
	return kernel.RefuseDescriptors(ours) == nil
}

// lingering returns a TCP socket whose closing waits an hour for its peer, which reads nothing.
func lingering(t *testing.T) int {
	t.Helper()
	var fds [2]int
	for i := range fds {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds[i] = fd
	}
	listener, fd := fds[0], fds[1]
	defer unix.Close(listener)
	unix.SetsockoptInt(listener, unix.SOL_SOCKET, unix.SO_RCVBUF, 1) // what was accepted has the least that there is, too
	if err := errors.Join(unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(listener, 1)); err != nil {
		t.Fatal(err)
	}
	address, err := unix.Getsockname(listener)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, address); err != nil {
		t.Fatal(err)
	}
	peer, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(peer) })
	// Little, so that hundreds do not use up what the kernel has for TCP, and more than the peer's window of some 1,200 bytes.
	n, err := unix.SendmsgN(fd, make([]byte, 1<<13), nil, nil, unix.MSG_DONTWAIT)
	if unsent, failed := unix.IoctlGetInt(fd, unix.SIOCOUTQNSD); err != nil || failed != nil || unsent == 0 {
		t.Fatalf("of %d bytes %d could not be sent: %v, %v", n, unsent, err, failed)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600}); err != nil {
		t.Fatal(err)
	}
	return fd
}
