package ivt

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// What a program that was handed a connection finds in its environment, beside LISTEN_PID, LISTEN_FDS and
// LISTEN_FDNAMES (sd_listen_fds(3)): the vectors in their order, separated by spaces, and what names the connection.
// The descriptors' names are stream0 or eventfd0, unmask0, …, lifeline, device, container.
const (
	envVectors    = "IVT_VECTORS"
	envConnection = "IVT_CONNECTION"
	envGeneration = "IVT_GENERATION"
	envSocket     = "IVT_SOCKET"
)

// A handed descriptor has a name for LISTEN_FDNAMES.
type handed struct {
	name string
	fd   int
}

// handed are the descriptors in the order in which they are handed over. c.mu is held.
func (c *Connection) handed() (list []handed) {
	for i, s := range c.slots {
		list = append(list, handed{string(s.delivery) + strconv.Itoa(i), s.fd})
		if s.unmask >= 0 {
			list = append(list, handed{"unmask" + strconv.Itoa(i), s.unmask})
		}
	}
	for _, one := range []handed{{"lifeline", c.lifeline}, {"device", c.device}, {"container", c.container}} {
		if one.fd >= 0 {
			list = append(list, one)
		}
	}
	return list
}

// environ describes the descriptors to the program that gets them.
func (c *Connection) environ(list []handed, pid int) []string {
	names := make([]string, len(list))
	for i, h := range list {
		names[i] = h.name
	}
	vectors := make([]string, len(c.slots))
	for i, s := range c.slots {
		vectors[i] = s.vector.String()
	}
	return []string{
		"LISTEN_PID=" + strconv.Itoa(pid), "LISTEN_FDS=" + strconv.Itoa(len(list)), "LISTEN_FDNAMES=" + strings.Join(names, ":"),
		envVectors + "=" + strings.Join(vectors, " "), envConnection + "=" + c.id,
		envGeneration + "=" + strconv.FormatUint(c.generation, 10), envSocket + "=" + c.client.socket,
	}
}

// Handover returns copies of the connection's descriptors, which the caller closes, and the environment that
// describes them to another program, as socket activation does: the files become descriptors 3, 4, ….
//
// The connection stays this process's: a child can read the interrupts, but when this process dies the connection
// ends. [Connection.Exec] makes this process the other program. It must come before Wait, Handle and Done.
func (c *Connection) Handover() (files []*os.File, environ []string, err error) {
	list, copies, err := c.copies(0)
	if err != nil {
		return nil, nil, err
	}
	for i, fd := range copies {
		files = append(files, os.NewFile(uintptr(fd), list[i].name))
	}
	return files, c.environ(list, os.Getpid()), nil
}

// withEnviron puts variables over an environment, of which each name stays once: the last one said.
func withEnviron(environ, over []string) []string {
	at, merged := map[string]int{}, []string(nil)
	for _, e := range slices.Concat(environ, over) {
		name, _, _ := strings.Cut(e, "=")
		if i, ok := at[name]; ok {
			merged[i] = e
			continue
		}
		at[name] = len(merged)
		merged = append(merged, e)
	}
	return merged
}
