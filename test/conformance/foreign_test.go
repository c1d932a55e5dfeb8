//go:build linux

package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/varlink"
)

// limit is how long one foreign program may take.
const limit = 60 * time.Second

// ci says whether this machine has to have everything.
var ci = os.Getenv("CI") == "true"

// missing skips a test and says what to do.
func missing(t *testing.T, what, cure string) {
	t.Helper()
	if ci {
		t.Fatalf("%s is missing, try: %s", what, cure)
	}
	t.Skipf("%s is missing, try: %s", what, cure)
}

// program finds a program of this machine.
func program(t *testing.T, name, cure string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name, cure)
	}
	return path
}

// outcome is what a program did.
type outcome struct {
	stdout, stderr string
	status         int
}

func execute(t *testing.T, name string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, name, args...)
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return outcome{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// description is the interface that most of these tests serve.
const description = `# For tests with other implementations.
interface org.example.conformance

type Colour (red, green)

# Gives back what it is given.
method Echo(text: string, colour: ?Colour, map: ?[string]int) -> (text: string, colour: ?Colour, map: ?[string]int)

# Counts up, a reply each.
method Count(to: int) -> (n: int)

# Opens n eventfds; the one with index i reads as i+1.
method Open(n: int) -> (indexes: []int)

method Missing() -> ()
method Refuse() -> ()

error Refused (code: int, remedies: []string)
`

// serve runs our server, with the project's own interface for its description.
func serve(t *testing.T) (address string) {
	t.Helper()
	server := &varlink.Server{CheckReplies: true}
	server.Info = varlink.Info{Vendor: "Example", Product: "Conformance", Version: "7", URL: "https://example.org"}
	err := server.Register(description, map[string]varlink.Handler{
		"Echo": echo, "Count": count, "Open": open, "Refuse": refuse,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range ownInterfaces(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Register(string(text), nil); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return run(t, server)
}

// ownInterfaces are the files with the project's interfaces.
func ownInterfaces(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../api/*.varlink")
	if err != nil || len(files) == 0 {
		t.Fatal("no interface in api", err)
	}
	return files
}

// run has a server serve a new socket until the test's end.
func run(t *testing.T, server *varlink.Server) (address string) {
	t.Helper()
	address = filepath.Join(t.TempDir(), "socket")
	l, err := varlink.Listen(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, varlink.ErrServerClosed) {
			t.Error(err)
		}
	})
	return address
}

func echo(c *varlink.Call) error { return c.Reply(c.Parameters) }

func count(c *varlink.Call) error {
	var in struct {
		To int `json:"to"`
	}
	if err := errors.Join(c.Streaming(), c.Decode(&in)); err != nil {
		return err
	}
	for n := 1; n < in.To; n++ {
		if err := c.Continue(map[string]int{"n": n}); err != nil {
			return err
		}
	}
	return c.Reply(map[string]int{"n": in.To})
}

func open(c *varlink.Call) error {
	var in struct {
		N int `json:"n"`
	}
	if err := errors.Join(c.Plain(), c.Decode(&in)); err != nil {
		return err
	}
	fds, indexes := make([]int, in.N), make([]int, in.N)
	for i := range fds {
		fd, err := unix.Eventfd(uint(i+1), unix.EFD_CLOEXEC)
		if err != nil {
			return fmt.Errorf("eventfd: %w", err)
		}
		defer unix.Close(fd)
		fds[i], indexes[i] = fd, i
	}
	return c.Reply(map[string][]int{"indexes": indexes}, fds...)
}

func refuse(c *varlink.Call) error {
	return c.Error("org.example.conformance.Refused", map[string]any{"code": 763, "remedies": []string{"wait"}})
}
