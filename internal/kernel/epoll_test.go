//go:build linux

package kernel

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

func eventfd(t *testing.T) int {
	t.Helper()
	fd, err := Eventfd()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(fd) })
	return fd
}

func TestEventfdAddsUp(t *testing.T) {
	fd := eventfd(t)
	if n, err := ReadEventfd(fd); n != 0 || err != syscall.EAGAIN {
		t.Errorf("a new one reads %d, %v", n, err)
	}
	for _, n := range []uint64{1, 2, 1 << 40} {
		if err := WriteEventfd(fd, n); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := ReadEventfd(fd); n != 1<<40+3 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if err := errors.Join(WriteEventfd(fd, 1<<64-2), WriteEventfd(fd, 1)); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("a saturated one: %v, want EAGAIN", err)
	}
}

// Who is always ready does not hide the others: one event at a time, all are seen.
func TestEpollReportsInTurn(t *testing.T) {
	e, err := NewEpoll()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const many = 50
	for key := range uint64(many) {
		fd := eventfd(t)
		if err := errors.Join(WriteEventfd(fd, 1), e.Add(fd, EventIn, key<<33|key)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[uint64]int{}
	for range 2 * many {
		ready := make([]Ready, 1)
		if n, err := e.Wait(ready); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		seen[ready[0].Key]++
	}
	for key := range uint64(many) {
		if seen[key<<33|key] != 2 {
			t.Errorf("%d was reported %d times in two rounds", key, seen[key<<33|key])
		}
	}
}

func TestEpollWaitsAndCloseEndsIt(t *testing.T) {
	e, err := NewEpoll()
	if err != nil {
		t.Fatal(err)
	}
	fd := eventfd(t)
	if err := e.Add(fd, EventIn, 7); err != nil {
		t.Fatal(err)
	}
	events, ended := make(chan Ready), make(chan error)
	go func() {
		ready := make([]Ready, 8)
		for {
			n, err := e.Wait(ready)
			if err != nil {
				ended <- err
				return
			}
			for _, r := range ready[:n] {
				ReadEventfd(fd)
				events <- r
			}
		}
	}()
	for range 3 {
		if err := WriteEventfd(fd, 1); err != nil {
			t.Fatal(err)
		}
		if r := <-events; r.Key != 7 || r.Events != EventIn {
			t.Errorf("got %+v", r)
		}
	}
	if err := e.Remove(fd); err != nil {
		t.Error(err)
	}
	if err := e.Remove(fd); err != syscall.ENOENT {
		t.Errorf("removed twice: %v", err)
	}
	e.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Wait after Close: %v", err)
	}
}

func TestOpenProcessSeesTheEnd(t *testing.T) {
	p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
	if err != nil {
		t.Skip("no /bin/true; try: apt-get install coreutils")
	}
	fd, err := OpenProcess(p.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(fd)
	e, err := NewEpoll()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Add(fd, EventIn, 1); err != nil {
		t.Fatal(err)
	}
	if n, err := e.Wait(make([]Ready, 1)); n != 1 || err != nil {
		t.Error(n, err)
	}
	if _, err := p.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := OpenProcess(p.Pid); err != syscall.ESRCH {
		t.Errorf("a reaped process: %v", err)
	}
}

func TestSameFileKnowsCopies(t *testing.T) {
	a, b := eventfd(t), eventfd(t)
	copied, err := Duplicate(a)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(copied)
	same, err := SameFile(a, os.Getpid(), copied)
	if errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EPERM) {
		t.Skip("no kcmp here; try: a kernel with CONFIG_KCMP")
	}
	if err != nil || !same {
		t.Errorf("a copy: %v, %v", same, err)
	}
	if same, err := SameFile(a, os.Getpid(), b); err != nil || same {
		t.Errorf("another: %v, %v", same, err)
	}
}
