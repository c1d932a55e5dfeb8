package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// crowd is a process with as many sessions as IVT_TEST_CROWD says, all open at the same time, each of which asks for
// the same vector. It reports how many were refused as they should, and stays until its standard input ends.
func crowd() error {
	n, err := strconv.Atoi(os.Getenv("IVT_TEST_CROWD"))
	if err != nil {
		return err
	}
	var refusals atomic.Int64
	var wait sync.WaitGroup
	conns := make([]*varlink.Conn, n)
	for w := range 32 {
		wait.Go(func() {
			for i := w; i < n; i += 32 {
				c, err := varlink.Dial(context.Background(), os.Getenv("IVT_SOCKET"))
				if err != nil {
					fmt.Fprintln(os.Stderr, "crowd:", err)
					return
				}
				conns[i] = c
				err = c.Call(context.Background(), api.Name+".Connect", api.ConnectIn{Vectors: []string{"soft:demo/1"}}, nil)
				if errors.Is(err, &varlink.Error{Name: api.ErrorName(irq.ErrAlreadyConnected)}) {
					refusals.Add(1)
				} else {
					fmt.Fprintln(os.Stderr, "crowd:", err)
				}
			}
		})
	}
	wait.Wait()
	fmt.Println(refusals.Load())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// TestTenThousandClients at once: each has its session and its answer, and who was there first is served on.
func TestTenThousandClients(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := min(10000, int(limit.Cur)-500)
	d := serve(t, "[soft.demo]\nvectors=64\n[limits]\nsessions_per_user=0\n")
	holder := d.connect("soft:demo/1")
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "IVT_TEST_ROLE=crowd", "IVT_SOCKET="+d.socket, "IVT_TEST_CROWD="+strconv.Itoa(n))
	c.Stderr = os.Stderr
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clients (RLIMIT_NOFILE %d), refused: %s", n, limit.Cur, line)
	if line != fmt.Sprintln(n) || d.Sessions() < n {
		t.Errorf("%s of %d were refused, %d sessions", line, n, d.Sessions())
	}
	d.raise("soft:demo/1", 1)
	if i := wait(t, holder); i.Count != 1 {
		t.Errorf("the holder got %+v", i)
	}
	stdin.Close()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	eventually(t, "all have gone", func() bool { return d.Sessions() <= 1 })
}
