package examples

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ivtd/ivt"
)

// run starts a command line and waits until its vector is held by the named program.
func run(t *testing.T, client *ivt.Client, env []string, vector, holder, line string) (output io.Reader) {
	t.Helper()
	c := exec.Command("sh", "-c", "exec "+line)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	c.Env, c.Stdout, c.Stderr = env, in, in
	err = c.Start()
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	await(t, vector+" is held by "+holder, func() bool {
		v, err := client.Lookup(t.Context(), vector)
		return err == nil && len(v.Holders) == 1 && comm(v.Holders[0].PID) == holder
	})
	return out
}

// comm is the name of what a process runs now: ivt connect becomes its command.
func comm(pid int) string {
	text, _ := os.ReadFile(filepath.Join("/proc", itoa(pid), "comm"))
	return strings.TrimSpace(string(text))
}

// expect reads what a program says, which must be that.
func expect(t *testing.T, out io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(out, b); err != nil || string(b) != want {
		t.Fatalf("it says %q (%v), want %q", b[:n], err, want)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// TestSocatForwardsInterrupts: socat carries each interrupt to another place, here a socket.
func TestSocatForwardsInterrupts(t *testing.T) {
	need(t, "socat", "socat")
	client, env := serve(t)
	path := filepath.Join(t.TempDir(), "there")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	run(t, client, env, "soft:demo/5", "socat", "ivt connect soft:demo/5 -- socat -u FD:3 UNIX-CONNECT:"+path)
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	there.SetDeadline(time.Now().Add(limit))
	for n := uint64(1); n <= 3; n++ {
		if err := client.Raise(t.Context(), "soft:demo/5", 1); err != nil {
			t.Fatal(err)
		}
		record := make([]byte, 56) // as api/io.ivtd.interrupts.varlink says
		if _, err := io.ReadFull(there, record); err != nil {
			t.Fatal(err)
		}
		if sequence := binary.LittleEndian.Uint64(record[8:]); sequence != n {
			t.Errorf("interrupt %d has sequence %d", n, sequence)
		}
	}
	second := exec.Command("sh", "-c", "ivt connect --conflict-exit-code 63 soft:demo/5 -- socat -u FD:3 STDOUT")
	second.Env = env
	if out, _ := second.CombinedOutput(); second.ProcessState.ExitCode() != 63 || !strings.Contains(string(out), "socat") {
		t.Errorf("the second: status %d, %s", second.ProcessState.ExitCode(), out)
	}
}

// TestShellHandlesInterrupts: a shell's loop, with dd, runs a command for each interrupt, and ends with the connection.
func TestShellHandlesInterrupts(t *testing.T) {
	client, env := serve(t)
	out := run(t, client, env, "soft:demo/6", "sh",
		`ivt connect soft:demo/6 -- sh -c 'while dd bs=56 count=1 status=none <&3 | grep -q .; do echo pressed; done; echo over'`)
	for range 3 {
		if err := client.Raise(t.Context(), "soft:demo/6", 1); err != nil {
			t.Fatal(err)
		}
		expect(t, out, "pressed\n")
	}
	v, err := client.Lookup(t.Context(), "soft:demo/6")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Revoke(t.Context(), v.Holders[0].Connection, 0, "test"); err != nil {
		t.Fatal(err)
	}
	expect(t, out, "over\n")
}
