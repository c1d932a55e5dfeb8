package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// An order is what a test tells a driver process to do; an answer is what came of it.
type order struct {
	Do         string
	Vectors    []string      `json:",omitempty"`
	Connection string        `json:",omitempty"`
	Generation uint64        `json:",omitempty"`
	Token      string        `json:",omitempty"`
	Shared     bool          `json:",omitempty"`
	Wait       bool          `json:",omitempty"`
	Grace      time.Duration `json:",omitempty"`
	Timeout    time.Duration `json:",omitempty"`
}

type answer struct {
	Connection string         `json:",omitempty"`
	Generation uint64         `json:",omitempty"`
	Token      string         `json:",omitempty"`
	Interrupt  *ivt.Interrupt `json:",omitempty"`
	PID        int            `json:",omitempty"`
	Names      []string       `json:",omitempty"` // of vectors
	Refusal    *api.Refusal   `json:",omitempty"`
	Failure    string         `json:",omitempty"`
}

// driver is the process: it obeys orders from standard input, one a line.
func driver() error {
	client, err := ivt.NewClient()
	if err != nil {
		return err
	}
	d := &driving{client: client}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		a, err := d.obey(o)
		var refusal *irq.Error
		if errors.As(err, &refusal) {
			r := api.FromError(refusal)
			a.Refusal = &r
		} else if err != nil {
			a.Failure = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

type driving struct {
	client     *ivt.Client
	connection *ivt.Connection
}

func (d *driving) obey(o order) (a answer, err error) {
	ctx := context.Background()
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	switch o.Do {
	case "connect":
		options := []ivt.Option{ivt.Grace(o.Grace)}
		if o.Shared {
			options = append(options, ivt.Shared())
		}
		if o.Wait {
			options = append(options, ivt.Wait())
		}
		d.connection, err = d.client.ConnectAll(ctx, o.Vectors, options...)
	case "resume":
		d.connection, err = d.client.Resume(ctx, o.Connection, o.Token)
	case "wait":
		i, failed := d.connection.Wait(ctx)
		return answer{Interrupt: &i}, failed
	case "disconnect":
		return a, d.connection.Disconnect(ctx)
	case "disconnect as": // of a connection that is somebody else's
		return a, d.client.Disconnect(ctx, o.Connection, o.Generation)
	case "mask as":
		v, _ := irq.ParseVector(o.Vectors[0])
		return a, d.client.Mask(ctx, o.Connection, o.Generation, v)
	case "park":
		return a, park(o.Vectors[0])
	case "list", "history", "watch", "lookup", "ring", "raise", "status":
		a.Names, err = d.look(ctx, o)
		return a, err
	case "fork": // a child that inherits everything, and lives on
		return forked("squatter")
	}
	if err == nil && d.connection != nil {
		a = answer{Connection: d.connection.ID(), Generation: d.connection.Generation(), Token: d.connection.Token()}
	}
	return a, err
}

// look returns the names of what a query shows.
func (d *driving) look(ctx context.Context, o order) (names []string, err error) {
	first := ""
	if len(o.Vectors) > 0 {
		first = o.Vectors[0]
	}
	switch o.Do {
	case "list":
		for i, err := range d.client.List(ctx, first, false) {
			if err != nil {
				return names, err
			}
			names = append(names, i.Vector.String())
		}
	case "status":
		status, err := d.client.Status(ctx)
		return append(status.Sources, fmt.Sprintf("%d vectors, %d connections", status.Vectors, status.Connections)), err
	case "history":
		for e, err := range d.client.History(ctx, first, time.Time{}) {
			if err != nil {
				return names, err
			}
			names = append(names, e.Vector.String(), e.Source)
		}
	case "watch": // until first is connected
		for u, err := range d.client.Watch(ctx, "", 0) {
			if err != nil {
				return names, err
			}
			if u.Event != nil {
				names = append(names, u.Event.Vector.String(), u.Event.Source)
				if u.Event.Vector.String() == first {
					return names, nil
				}
			}
		}
	case "lookup":
		_, err = d.client.Lookup(ctx, first)
	case "ring":
		bell, failed := d.client.OpenDoorbell(ctx, first)
		if failed != nil {
			return nil, failed
		}
		err = bell.Ring(1)
	case "raise":
		err = d.client.Raise(ctx, first, 1)
	}
	return names, err
}

// forked starts this program in another role, with copies of every descriptor that this process has.
func forked(role string) (answer, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return answer{}, err
	}
	var files []*os.File
	for _, e := range entries {
		fd, _ := strconv.Atoi(e.Name())
		if fd > 2 {
			if copied, err := syscall.Dup(fd); err == nil {
				syscall.CloseOnExec(copied)
				files = append(files, os.NewFile(uintptr(copied), e.Name()))
			}
		}
	}
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "IVT_TEST_ROLE="+role)
	c.ExtraFiles = files
	if err := c.Start(); err != nil {
		return answer{}, err
	}
	for _, f := range files {
		f.Close()
	}
	return answer{PID: c.Process.Pid}, nil
}

// squatter keeps what it inherited open, and tries the calls of its parent's session on every socket it has, until
// it is killed. What ivtd answered stands in the file that IVT_TEST_REPORT names.
func squatter() error {
	report, err := os.OpenFile(os.Getenv("IVT_TEST_REPORT"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for fd := 3; fd < 64; fd++ {
		conn, err := net.FileConn(os.NewFile(uintptr(must(syscall.Dup(fd))), "inherited"))
		if err != nil {
			continue
		}
		if u, ok := conn.(*net.UnixConn); ok && u.LocalAddr().Network() == "unix" {
			if c, err := (varlink.Dialer{}).Use(u); err == nil {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				err := c.Call(ctx, api.Name+".Connect", api.ConnectIn{Vectors: []string{"soft:demo/60"}}, nil)
				fmt.Fprintf(report, "%v\n", err)
				cancel()
			}
		}
	}
	fmt.Fprintln(report, "squatting")
	time.Sleep(time.Minute)
	return nil
}

func must(fd int, err error) int {
	if err != nil {
		return -1
	}
	return fd
}

// A driverProcess is the test's end of a driver.
type driverProcess struct {
	t       *testing.T
	command *exec.Cmd
	in      *json.Encoder
	stdin   io.WriteCloser
	out     *bufio.Reader
	report  string
}

// startDriver starts a driver of the daemon on socket.
func startDriver(t *testing.T, socket string, attributes ...func(*exec.Cmd)) *driverProcess {
	t.Helper()
	d := &driverProcess{t: t, command: exec.Command("/proc/self/exe"), report: t.TempDir() + "/report"}
	d.command.Env = append(os.Environ(), "IVT_TEST_ROLE=driver", "IVT_SOCKET="+socket, "IVT_TEST_REPORT="+d.report)
	d.command.Stderr = os.Stderr
	for _, change := range attributes {
		change(d.command)
	}
	var err error
	if d.stdin, err = d.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := d.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.in, d.out = json.NewEncoder(d.stdin), bufio.NewReader(stdout)
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.kill)
	return d
}

func (d *driverProcess) pid() int { return d.command.Process.Pid }

// begin gives an order whose answer is read later.
func (d *driverProcess) begin(o order) {
	d.t.Helper()
	if err := d.in.Encode(o); err != nil {
		d.t.Fatal(err)
	}
}

// answer reads the answer, and the refusal that it may be.
func (d *driverProcess) answer() (a answer, refusal *irq.Error) {
	d.t.Helper()
	line, err := d.out.ReadBytes('\n')
	if err != nil {
		d.t.Fatalf("driver %d: %v", d.pid(), err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		d.t.Fatal(err)
	}
	if a.Failure != "" {
		d.t.Fatalf("driver %d: %s", d.pid(), a.Failure)
	}
	if a.Refusal != nil {
		return a, a.Refusal.Err()
	}
	return a, nil
}

// do gives an order and returns its answer.
func (d *driverProcess) do(o order) (answer, *irq.Error) {
	d.t.Helper()
	d.begin(o)
	return d.answer()
}

// connect is do for a connection that must be granted.
func (d *driverProcess) connect(vectors ...string) answer {
	d.t.Helper()
	return d.granted(order{Do: "connect", Vectors: vectors})
}

func (d *driverProcess) granted(o order) answer {
	d.t.Helper()
	a, refusal := d.do(o)
	if refusal != nil {
		d.t.Fatalf("driver %d is refused: %v", d.pid(), refusal)
	}
	return a
}

// kill ends the process as kill -9 does.
func (d *driverProcess) kill() {
	d.command.Process.Kill()
	d.command.Wait()
}

func (d *driverProcess) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.command.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}
