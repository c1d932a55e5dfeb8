package ivt

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	_ "github.com/ivtd/ivt/internal/kernel/reserve" // see Exec
	"github.com/ivtd/ivt/irq"
)

// firstListen is the first descriptor of socket activation (SD_LISTEN_FDS_START).
const firstListen = 3

// copies returns copies of what is handed over, with numbers above the given one.
func (c *Connection) copies(above int) (list []handed, copies []int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.disconnected || c.err != nil:
		return nil, nil, over(c.id, irq.ReasonClosed, "it is over, there is nothing to hand over")
	case c.lifeline < 0:
		return nil, nil, malformed("hand over", c.id, "its interrupts are being waited for here already")
	}
	list = c.handed()
	for _, h := range list {
		fd, err := kernel.DuplicateAbove(h.fd, max(above, firstListen))
		if err != nil {
			closeAll(copies)
			return nil, nil, fmt.Errorf("hand over %s of %s: %w", h.name, c.id, err)
		}
		copies = append(copies, fd)
	}
	return list, copies, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		kernel.Close(fd)
	}
}

// Exec replaces this program by another one, which finds the descriptors as socket activation leaves them and is the
// holder: its pid is ours. argv[0] is looked for in PATH. It returns only if that failed; after that some of our
// descriptors may be gone, so all that is left to do is to say so and to exit.
//
// A program that uses it has a "--" argument before argv[0] on its own command line: package reserve then keeps the
// numbers from 3 on free from the start. Without, Go's poller may have its descriptor there, and replacing it can crash
// this process in the instant before the other program begins.
func (c *Connection) Exec(argv, environ []string) error {
	if len(argv) == 0 {
		return malformed("execute", "", "no program is named")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	list, copies, err := c.copies(firstListen + 1024)
	if err != nil {
		return err
	}
	for i, fd := range copies {
		if err := kernel.DuplicateTo(fd, firstListen+i); err != nil {
			return fmt.Errorf("hand over %s: %w", list[i].name, err)
		}
	}
	err = syscall.Exec(path, argv, withEnviron(environ, c.environ(list, os.Getpid())))
	return fmt.Errorf("execute %s: %w", path, err)
}

// Inherited returns the connection that [Connection.Exec] (or ivt connect -- PROGRAM) left to this program, nil
// without one. It takes the descriptors over and clears the variables, so it is called once. [Dedicated] and [OnNotice]
// may be among the options.
func Inherited(list ...Option) (*Connection, error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	if pid != strconv.Itoa(os.Getpid()) || os.Getenv(envVectors) == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	if err != nil || n != len(names) {
		return nil, malformed("inherit", count, "LISTEN_FDS and LISTEN_FDNAMES disagree")
	}
	c, err := inherit(optionsOf(list), names, strings.Fields(os.Getenv(envVectors)))
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", envVectors, envConnection, envGeneration} {
		os.Unsetenv(name)
	}
	return c, err
}

func inherit(o options, names, vectors []string) (*Connection, error) {
	client, err := NewClient()
	if err != nil {
		return nil, err
	}
	generation, err := strconv.ParseUint(os.Getenv(envGeneration), 10, 64)
	if err != nil {
		return nil, malformed("inherit", os.Getenv(envGeneration), envGeneration+" is no number")
	}
	c := &Connection{client: client, options: o, id: os.Getenv(envConnection), generation: generation, done: make(chan struct{})}
	c.lifeline, c.device, c.container = -1, -1, -1
	for i, name := range names {
		syscall.CloseOnExec(firstListen + i)
		if err := c.inheritOne(name, vectors, firstListen+i); err != nil {
			return nil, err
		}
	}
	if c.lifeline < 0 || len(c.slots) != len(vectors) {
		return nil, malformed("inherit", strings.Join(names, ":"), "the descriptors of the connection are not all there")
	}
	return c, nil
}

// inheritOne gives a descriptor its place by its name.
func (c *Connection) inheritOne(name string, vectors []string, fd int) error {
	switch name {
	case "lifeline":
		c.lifeline = fd
	case "device":
		c.device = fd
	case "container":
		c.container = fd
	default:
		kind := strings.TrimRight(name, "0123456789")
		number, err := strconv.Atoi(name[len(kind):])
		if err != nil || number >= len(vectors) || kind == "unmask" && number >= len(c.slots) {
			return malformed("inherit", name, "there is no such descriptor of a connection")
		}
		if kind == "unmask" {
			c.slots[number].unmask = fd
			return nil
		}
		v, err := irq.ParseVector(vectors[number])
		if err != nil || number != len(c.slots) {
			return errors.Join(malformed("inherit", name, "the vectors are not in order"), err)
		}
		c.slots = append(c.slots, line{vector: v, delivery: irq.Delivery(kind), fd: fd, unmask: -1})
	}
	return nil
}
