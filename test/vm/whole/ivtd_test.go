package whole

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

//vm:program ./cmd/ivtd

// TestMain lets the test binary be a driver, too, or a writer.
func TestMain(m *testing.M) {
	if os.Getenv("IVT_TEST_VECTOR") != "" {
		if err := drive(); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if path := os.Getenv("IVT_TEST_WRITE"); path != "" {
		if err := writeTo(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// drive is a driver of one vector: it says "connected" and then "woken" for each wake-up, until it is killed or told to go.
func drive() error {
	ctx := context.Background()
	options := []ivt.Option{ivt.WaitFor(time.Minute)}
	switch os.Getenv("IVT_TEST_ACCESS") {
	case "device":
		options = append(options, ivt.Access(irq.AccessDevice), ivt.Consent())
	case "shared":
		options = append(options, ivt.Shared())
	}
	c, err := ivt.Connect(ctx, os.Getenv("IVT_TEST_VECTOR"), options...)
	if err != nil {
		return err
	}
	fmt.Println("connected")
	go func() {
		io.Copy(io.Discard, os.Stdin)
		c.Disconnect(ctx)
	}()
	return c.Handle(ctx, func(ivt.Interrupt) irq.Verdict {
		fmt.Println("woken")
		return irq.Handled
	})
}

// A whole is a running ivtd.
type whole struct {
	*exec.Cmd
	t      *testing.T
	socket string
	client *ivt.Client
}

// sessionsPerUser is what one user has in the tests.
const sessionsPerUser = 64

// start runs ivtd with these devices, by id, and returns when it serves.
func start(t *testing.T, ids ...string) *whole {
	t.Helper()
	guest.Require(t)
	dir := t.TempDir()
	policy := fmt.Sprintf("[limits]\nsessions_per_user = %d\n", sessionsPerUser) + "[soft.demo]\nvectors = 4\nshareable = true\n[[allow]]\nvectors = [\"*\"]\nuser = \"root\"\naccess = \"device\"\nshare = true\n"
	for _, id := range ids {
		address := guest.Device(t, id)
		guest.Bind(t, address, "vfio-pci")
		policy += fmt.Sprintf("[[device]]\nmatch = { name = \"pci:%s\" }\n", address)
	}
	config := filepath.Join(dir, "ivtd.toml")
	if err := os.WriteFile(config, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &whole{t: t, socket: filepath.Join(dir, "s")}
	w.Cmd = exec.Command("ivtd", "--socket", w.socket, "--config", config)
	log, err := w.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	w.read(log)
	if w.client, err = ivt.NewClient(ivt.Socket(w.socket)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.client.Close() })
	return w
}

// read reads the log until ivtd serves, and the rest beside the test, which shows it if it fails.
func (w *whole) read(log io.Reader) {
	lines := bufio.NewScanner(log)
	for lines.Scan() && !strings.Contains(lines.Text(), "msg=serving") {
	}
	all, done := []string{}, make(chan struct{})
	go func() {
		defer close(done)
		for lines.Scan() {
			all = append(all, lines.Text())
		}
	}()
	w.t.Cleanup(func() {
		w.Process.Signal(syscall.SIGTERM)
		<-done
		w.Wait()
		if w.t.Failed() {
			w.t.Log(strings.Join(all, "\n"))
		}
	})
}

func (w *whole) info(vector string) irq.Info {
	w.t.Helper()
	i, err := w.client.Lookup(w.t.Context(), vector)
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

// A driver is a process that has, or waits for, one vector.
type driver struct {
	*exec.Cmd
	t     *testing.T
	in    io.Closer
	lines chan string // closed when it has ended
}

// driver starts one; it need not be connected yet. Access is "irq", "device" or "shared".
func (w *whole) driver(vector, access string) *driver {
	w.t.Helper()
	d := &driver{Cmd: exec.Command("/proc/self/exe"), t: w.t, lines: make(chan string, 1000)}
	d.Env = append(os.Environ(), "IVT_SOCKET="+w.socket, "IVT_TEST_VECTOR="+vector, "IVT_TEST_ACCESS="+access)
	in, err := d.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	d.in = in
	out, err := d.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(d.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			d.lines <- s.Text()
		}
	}()
	w.t.Cleanup(d.kill)
	return d
}

// connected starts a driver and waits until it has its vector.
func (w *whole) connected(vector, access string) *driver {
	w.t.Helper()
	d := w.driver(vector, access)
	d.says("connected")
	return d
}

func (d *driver) says(want string) {
	d.t.Helper()
	select {
	case got := <-d.lines:
		if got != want {
			d.t.Fatalf("the driver says %q, not %q", got, want)
		}
	case <-time.After(time.Minute):
		d.t.Fatalf("the driver does not say %q", want)
	}
}

// forget drops what it has said so far.
func (d *driver) forget() {
	for len(d.lines) > 0 {
		<-d.lines
	}
}

func (d *driver) kill() {
	d.Process.Kill()
	for range d.lines { // all of it has been read before Wait closes the pipe
	}
	d.Wait()
}

// leave has it disconnect and end.
func (d *driver) leave() {
	d.t.Helper()
	d.in.Close()
	for line := range d.lines {
		if line != "woken" {
			d.t.Errorf("the driver says %q", line)
		}
	}
	if err := d.Wait(); err != nil {
		d.t.Errorf("the driver ended with %v", err)
	}
}
