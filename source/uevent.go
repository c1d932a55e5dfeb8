//go:build linux

package source

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
)

// ChangeKind says what happened to a device.
type ChangeKind string

// The kinds.
const (
	Appeared ChangeKind = "appeared" // it is there, or has a driver now: Discover tells what it is
	Left     ChangeKind = "left"     // it was unplugged, or its driver was taken from it
	Unsure   ChangeKind = "unsure"   // the kernel dropped messages: Discover all again. Name is empty
)

// A Change is a device that came or went. A device that comes under the name of one that went is another
// one: it is opened with a new instance, and inherits no grace and no queue.
type Change struct {
	Kind ChangeKind
	Name string // of the source: "pci:0000:3b:00.0", "uio:uio0", "gpio:gpiochip1"
}

// Watch calls changed for each device that comes or goes, as the kernel tells (kernel uevents), until the
// context is done; it returns the context's error then. changed is called on the caller's goroutine, and messages wait
// meanwhile. Messages of udev or of any process are ignored.
func Watch(ctx context.Context, changed func(Change)) error {
	fd, err := kernel.UeventSocket()
	if err != nil {
		return fmt.Errorf("listen to the kernel's uevents: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "uevents")
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer func() {
		if stop() {
			socket.Close()
		}
	}()
	conn, err := socket.SyscallConn()
	if err != nil {
		return ctx.Err() // closed already
	}
	for buffer := make([]byte, 16<<10); ; {
		change, err := nextChange(conn, buffer)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("read the kernel's uevents: %w", err)
		case change.Kind != "":
			changed(change)
		}
	}
}

// nextChange waits for one message. Kind is empty if it is of no concern.
func nextChange(conn syscall.RawConn, buffer []byte) (change Change, err error) {
	var failed error
	err = conn.Read(func(fd uintptr) bool {
		var n int
		var fromKernel bool
		n, fromKernel, failed = kernel.ReceiveUevent(int(fd), buffer)
		if failed == nil && fromKernel {
			change, _ = parseUevent(buffer[:n])
		}
		return !isErrno(failed, syscall.EAGAIN)
	})
	if isErrno(failed, syscall.ENOBUFS) {
		return Change{Kind: Unsure}, nil
	}
	return change, errors.Join(err, failed)
}

// parseUevent reads a message of lib/kobject_uevent.c: "action@devpath", then KEY=value, each ended by a
// zero byte. ok is false for what is of no concern and for what is no such message.
func parseUevent(b []byte) (c Change, ok bool) {
	words := bytes.Split(b, []byte{0})
	if !bytes.Contains(words[0], []byte("@")) {
		return Change{}, false
	}
	keys := map[string]string{}
	for _, w := range words[1:] {
		if key, value, found := strings.Cut(string(w), "="); found {
			keys[key] = value
		}
	}
	switch keys["ACTION"] {
	case "add", "bind":
		c.Kind = Appeared
	case "remove", "unbind":
		c.Kind = Left
	default:
		return Change{}, false
	}
	if c.Name = ueventSource(keys); c.Name == "" {
		return Change{}, false
	}
	return c, true
}

// ueventSource names the source that a message is about.
func ueventSource(keys map[string]string) string {
	base := path.Base(keys["DEVPATH"])
	switch keys["SUBSYSTEM"] {
	case "pci":
		if pciAddress().MatchString(base) {
			return "pci:" + base
		}
	case "uio":
		if strings.HasPrefix(base, "uio") {
			return "uio:" + base
		}
	case "gpio":
		if strings.HasPrefix(base, "gpiochip") {
			return "gpio:" + base
		}
	}
	return ""
}

// newInstance names one stay of a device: no two have the same.
func newInstance() string {
	b := make([]byte, 8)
	rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}
