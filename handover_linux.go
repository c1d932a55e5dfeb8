package ivt

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// firstListened is SD_LISTEN_FDS_START (sd_listen_fds(3)).
const firstListened = 3

// ReserveForHandover keeps the descriptors free that [Connection.Handover] will need for that many vectors. A
// program that will become another one calls it first of all, before it opens files.
func ReserveForHandover(vectors int) error {
	if err := kernel.ReserveDescriptors(firstListened, 2*vectors+3); err != nil {
		return fmt.Errorf("keep descriptors free for the command: %w", err)
	}
	return nil
}

// Handover puts the connection's descriptors where a program that is executed next in this process finds them, as
// socket activation does (sd_listen_fds(3)), and returns environ with what that program needs:
//
//	LISTEN_PID, LISTEN_FDS   the number of descriptors, from 3 on
//	LISTEN_FDNAMES           their names: vector0, vector1, …, unmask0, …, device, container, lifeline
//	IVT_VECTORS              the names of the vectors, in the order of vector0, vector1, …, separated by spaces
//	IVT_CONNECTION, IVT_GENERATION, IVT_SOCKET
//
// The lifeline has to stay open in the new program: the connection ends when it is closed (rule 6). Nothing of
// this Connection may be used after that but execve(2). [ReserveForHandover] has to be called before.
func (c *Connection) Handover(environ []string) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiter != nil || c.watch != nil {
		return nil, &irq.Error{Code: irq.ErrBusy, Operation: "hand over", Name: c.id, Detail: "this process waits for its interrupts"}
	}
	var fds []int
	var names, vectors []string
	add := func(fd int, name string) {
		if fd >= 0 {
			fds, names = append(fds, fd), append(names, name)
		}
	}
	for i, s := range c.slots {
		add(s.fd, "vector"+strconv.Itoa(i))
		vectors = append(vectors, s.vector.String())
	}
	for i, s := range c.slots {
		add(s.unmask, "unmask"+strconv.Itoa(i))
	}
	add(c.device, "device")
	add(c.container, "container")
	add(c.lifeline, "lifeline")
	if err := kernel.Place(firstListened, fds); err != nil {
		return nil, fmt.Errorf("place descriptors for the command: %w", err)
	}
	environ = without(environ, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "IVT_VECTORS", "IVT_CONNECTION", "IVT_GENERATION", "IVT_SOCKET")
	return append(environ,
		"LISTEN_PID="+strconv.Itoa(os.Getpid()),
		"LISTEN_FDS="+strconv.Itoa(len(fds)),
		"LISTEN_FDNAMES="+strings.Join(names, ":"),
		"IVT_VECTORS="+strings.Join(vectors, " "),
		"IVT_CONNECTION="+c.id,
		"IVT_GENERATION="+strconv.FormatUint(c.generation, 10),
		"IVT_SOCKET="+c.client.socket), nil
}

func without(environ []string, names ...string) []string {
	var kept []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		drop := false
		for _, n := range names {
			drop = drop || n == name
		}
		if !drop {
			kept = append(kept, e)
		}
	}
	return kept
}
