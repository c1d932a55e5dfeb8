package keeper

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ivtd/ivt/internal/kernel"
)

// The test program is keeper and worker, too: real processes, really killed.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(WorkerEnv) != "":
		os.Exit(testWorker())
	case os.Getenv("IVT_TEST_KEEPER") != "":
		os.Exit(testKeeper())
	}
	os.Exit(m.Run())
}

func testKeeper() int {
	signals := make(chan os.Signal, 8)
	notifySignals(signals)
	in, err := Inherit()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	self, _ := os.Executable()
	var files []*os.File
	for range testFiles {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return 1
		}
		files = append(files, null)
	}
	if in != nil {
		files = in.Files
	}
	status, err := Run(Options{Program: self, Args: []string{"-test.run=none"}, Slots: 1024, Instance: "test", Inherit: in, Files: files,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, signals, syscall.SIGUSR2)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return status
}

// testFiles is how many files a worker of these tests inherits: more than there are low numbers that nobody uses.
const testFiles = 20

// testWorker does what it reads from the file that IVT_TEST_PIPE names and answers on standard output.
func testWorker() int {
	s, kept, problems, err := Open(ControlFile, MemoryFile, TableFile)
	if err != nil {
		fmt.Println("open:", err)
		return 1
	}
	fmt.Println("worker", os.Getpid(), "kept", len(kept), "problems", len(problems), "generation", s.Memory().Generation().Load())
	if err := s.Ready(); err != nil {
		return 1
	}
	commands, err := os.Open(os.Getenv("IVT_TEST_PIPE"))
	if err != nil {
		return 1
	}
	in := bufio.NewScanner(commands)
	for in.Scan() {
		w := strings.Fields(in.Text())
		switch w[0] {
		case "put":
			fd, err := kernel.Eventfd()
			if err == nil {
				err = kernel.WriteEventfd(fd, 7)
			}
			if err == nil {
				err = s.Put(w[1], []byte(w[2]), fd)
			}
			fmt.Println("put", err)
		case "count":
			s.Counter(w[1], 2).Add(5)
			fmt.Println("count")
		case "drop":
			fmt.Println("drop", s.Drop(w[1]))
		case "sync":
			before, after, err := letGo(s)
			fmt.Println("sync", before, after, err)
		case "puts":
			n, _ := strconv.Atoi(w[1])
			var failed error
			for i := range n {
				fd, err := kernel.Eventfd()
				failed = errors.Join(failed, err, kernel.WriteEventfd(fd, uint64(i+1)), s.Put(fmt.Sprint("many", i), nil, fd), kernel.Close(fd))
			}
			fmt.Println("puts", failed)
		case "shows":
			n, _ := strconv.Atoi(w[1])
			right := 0
			for i := range n {
				fd := kept[fmt.Sprint("many", i)].Descriptors[0]
				if got, err := kernel.ReadEventfd(fd); err == nil && got == uint64(i+1) && kernel.WriteEventfd(fd, got) == nil {
					right++
				}
			}
			fmt.Println("shows", right, allAreNull())
		case "show":
			e := kept[w[1]]
			n, err := kernel.ReadEventfd(e.Descriptors[0])
			fmt.Println("show", string(e.Value), n, err, e.Counters[2])
		case "stop":
			s.Stop()
			return 3
		}
	}
	return 0
}

// allAreNull reports whether what is inherited at fixed numbers is what it should be.
func allAreNull() bool {
	for n := range testFiles {
		if name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", FirstFile+n)); err != nil || name != os.DevNull {
			return false
		}
	}
	return true
}

// letGo reports whether a socket whose other end only the keeper has is hung up before and after that is dropped.
func letGo(s *Store) (before, after bool, err error) {
	kept, ours, err := kernel.Socketpair()
	if err != nil {
		return false, false, err
	}
	defer kernel.Close(ours)
	err = errors.Join(s.Put("socket", nil, kept), kernel.Close(kept), s.Sync())
	before, hungUp := kernel.HungUp(ours)
	err = errors.Join(err, hungUp, s.Drop("socket"), s.Sync())
	after, hungUp = kernel.HungUp(ours)
	return before, after, errors.Join(err, hungUp)
}

type family struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   *os.File
	out  *bufio.Scanner
	pid  int // of the worker
	errs bytes.Buffer
}

func startFamily(t *testing.T) *family {
	t.Helper()
	pipe := t.TempDir() + "/commands"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &family{t: t, cmd: exec.Command(self)}
	f.cmd.Env = append(os.Environ(), "IVT_TEST_KEEPER=1", "IVT_TEST_PIPE="+pipe)
	f.cmd.Stderr = &f.errs
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f.out = bufio.NewScanner(out)
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.cmd.Process.Kill(); f.cmd.Wait() })
	if f.in, err = os.OpenFile(pipe, os.O_RDWR, 0); err != nil { // both ways: the fifo survives each worker
		t.Fatal(err)
	}
	t.Cleanup(func() { f.in.Close() })
	return f
}

func (f *family) expect(format string, args ...any) {
	f.t.Helper()
	want := fmt.Sprintf(format, args...)
	if !f.out.Scan() || f.out.Text() != want {
		f.t.Fatalf("got %q, want %q; standard error: %s", f.out.Text(), want, &f.errs)
	}
}

func (f *family) expectWorker(kept, generation int) {
	f.t.Helper()
	if !f.out.Scan() {
		f.t.Fatalf("no worker: %s", &f.errs)
	}
	w := strings.Fields(f.out.Text())
	f.pid, _ = strconv.Atoi(w[1])
	if got, want := strings.Join(w[2:], " "), fmt.Sprintf("kept %d problems 0 generation %d", kept, generation); got != want {
		f.t.Fatalf("got %q, want %q", got, want)
	}
}

func (f *family) say(line string) { fmt.Fprintln(f.in, line) }

func TestRule14KillingTheWorkerLosesNothing(t *testing.T) {
	f := startFamily(t)
	f.expectWorker(0, 1)
	f.say("put a one")
	f.expect("put <nil>")
	f.say("put a two")
	f.expect("put <nil>")
	f.say("put b other")
	f.expect("put <nil>")
	f.say("drop b")
	f.expect("drop <nil>")
	f.say("count a")
	f.expect("count")
	syscall.Kill(f.pid, syscall.SIGKILL)
	f.expectWorker(1, 2)
	f.say("show a")
	f.expect("show two 7 <nil> 5")
	for generation := 3; generation < 20; generation++ {
		syscall.Kill(f.pid, syscall.SIGKILL)
		f.expectWorker(1, generation)
	}
	f.say("stop")
	if err := f.cmd.Wait(); f.cmd.ProcessState.ExitCode() != 3 {
		t.Fatalf("the keeper ended with %v, want the worker's status 3", err)
	}
}

// TestRule14EachHasItsOwnDescriptors: what is held, and what a worker finds at fixed numbers, are not taken for each other.
func TestRule14EachHasItsOwnDescriptors(t *testing.T) {
	f := startFamily(t)
	f.expectWorker(0, 1)
	f.say("puts 500")
	f.expect("puts <nil>")
	for generation := 2; generation < 6; generation++ {
		syscall.Kill(f.pid, syscall.SIGKILL)
		f.expectWorker(500, generation)
		f.say("shows 500")
		f.expect("shows 500 true")
	}
	f.cmd.Process.Signal(syscall.SIGUSR2)
	f.expectWorker(500, 6)
	f.say("shows 500")
	f.expect("shows 500 true")
	f.say("stop")
	f.cmd.Wait()
}

// TestSyncWaitsUntilTheKeeperHasLetGo: the next one to open a device finds it closed, however much the keeper was told before.
func TestSyncWaitsUntilTheKeeperHasLetGo(t *testing.T) {
	f := startFamily(t)
	f.expectWorker(0, 1)
	for range 20 {
		f.say("sync")
		f.expect("sync false true <nil>")
	}
	f.say("stop")
	f.cmd.Wait()
}

func TestUpgradeExecutesTheProgramInPlace(t *testing.T) {
	f := startFamily(t)
	f.expectWorker(0, 1)
	f.say("put a one")
	f.expect("put <nil>")
	f.cmd.Process.Signal(syscall.SIGUSR2)
	f.expectWorker(1, 2)
	f.say("show a")
	f.expect("show one 7 <nil> 0")
	f.say("stop")
	f.cmd.Wait()
}

// TestKeeperNeverRunsOut: who would be one descriptor too many for the keeper is refused, and nobody else notices.
func TestKeeperNeverRunsOut(t *testing.T) {
	s, err := NewLocal(16, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.most = 3
	fds := []int{int(os.Stdin.Fd()), int(os.Stdout.Fd()), int(os.Stderr.Fd())}
	if err := errors.Join(s.Put("a", nil, fds[:2]...), s.Put("b", nil, fds[:1]...)); err != nil {
		t.Fatal(err)
	}
	if err := s.Put("c", nil, fds[:1]...); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("a fourth descriptor of three: %v, want EMFILE", err)
	}
	if err := errors.Join(s.Put("c", []byte("value")), s.Put("a", []byte("new"), fds[:2]...), s.Drop("b"), s.Put("d", nil, fds[:1]...)); err != nil {
		t.Errorf("what needs no more descriptors is refused: %v", err)
	}
	if s.held != 3 {
		t.Errorf("%d descriptors are held, want 3", s.held)
	}
}
