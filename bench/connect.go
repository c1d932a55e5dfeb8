package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/godbus/dbus/v5"

	"github.com/ivtd/ivt"
)

var connectRows = []row{
	{"connect + disconnect, against a bare Go echo with a descriptor", atMost(4), func(b *bench) (ours, peer sample, err error) {
		return b.against(b.whole, b.echo)
	}},
	{"the same, ivtd without its keeper", atMost(4), func(b *bench) (ours, peer sample, err error) {
		return b.against(b.ivtd, b.echo)
	}},
	{"connect + disconnect, against the same over D-Bus", atMost(0.5), func(b *bench) (ours, peer sample, err error) {
		return b.against(b.whole, b.bus)
	}},
	{"connect + disconnect, 1,000,000 vectors against 1,000", atMost(1.25), func(b *bench) (ours, peer sample, err error) {
		if ours, err = b.connecting(b.whole, 1_000_000); err == nil {
			peer, err = b.connecting(b.whole, 1_000)
		}
		return ours, peer, err
	}},
}

const connectRepeats = 300

// A daemonStarter is bench.whole or bench.ivtd.
type daemonStarter func(vectors int) (socket string, process *exec.Cmd, err error)

func (b *bench) against(start daemonStarter, other func() (sample, error)) (ours, peer sample, err error) {
	if ours, err = b.connecting(start, 1_000); err == nil {
		peer, err = other()
	}
	return ours, peer, err
}

// connecting samples connect + disconnect on one session.
func (b *bench) connecting(start daemonStarter, vectors int) (sample, error) {
	socket, _, err := start(vectors)
	if err != nil {
		return nil, err
	}
	client, err := ivt.NewClient(ivt.Socket(socket))
	if err != nil {
		return nil, err
	}
	b.later(func() { client.Close() })
	ctx := context.Background()
	return repeat(connectRepeats, func() error {
		c, err := client.Connect(ctx, "soft:bench/7")
		if err != nil {
			return err
		}
		return c.Disconnect(ctx)
	}), nil
}

// serveEcho answers each message with the same and a descriptor: the least that a Go service can do.
func serveEcho() error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: os.Getenv("IVT_SOCKET"), Net: "unix"})
	if err != nil {
		return err
	}
	null, err := os.Open("/dev/null")
	if err != nil {
		return err
	}
	rights := syscall.UnixRights(int(null.Fd()))
	go func() {
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		message := make([]byte, 256)
		for {
			n, _, _, _, err := c.ReadMsgUnix(message, nil)
			if err != nil || n == 0 {
				return
			}
			if _, _, err := c.WriteMsgUnix(message[:n], rights, nil); err != nil {
				return
			}
		}
	}()
	ready()
	return nil
}

func (b *bench) echo() (sample, error) {
	dir, err := b.folder()
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "echo")
	if _, err := b.start("echo", nil, "IVT_SOCKET="+socket); err != nil {
		return nil, err
	}
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	b.later(func() { c.Close() })
	message, oob := make([]byte, 256), make([]byte, syscall.CmsgSpace(4))
	text := []byte(`{"method":"io.ivtd.interrupts.Connect","parameters":{"vectors":["soft:bench/7"]}}`)
	return repeat(connectRepeats, func() error {
		if _, err := c.Write(text); err != nil {
			return err
		}
		_, oobn, _, _, err := c.ReadMsgUnix(message, oob)
		if err != nil {
			return err
		}
		control, err := syscall.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return err
		}
		fds, err := syscall.ParseUnixRights(&control[0])
		if err != nil {
			return err
		}
		return syscall.Close(fds[0])
	}), nil
}

// The service on D-Bus: two calls, the first one's answer has a descriptor.
const busName, busPath = "io.ivtd.Bench", "/io/ivtd/Bench"

type busService struct{ file *os.File }

// Connect answers with a descriptor.
func (s busService) Connect(string) (string, dbus.UnixFD, *dbus.Error) {
	return "c1", dbus.UnixFD(s.file.Fd()), nil
}

// Disconnect answers with nothing.
func (s busService) Disconnect(string) *dbus.Error { return nil }

func serveBus() error {
	conn, err := dbus.Connect(os.Getenv("IVT_BENCH_BUS"))
	if err != nil {
		return err
	}
	defer conn.Close()
	null, err := os.Open("/dev/null")
	if err != nil {
		return err
	}
	if err := conn.Export(busService{null}, busPath, busName); err != nil {
		return err
	}
	if _, err := conn.RequestName(busName, dbus.NameFlagDoNotQueue); err != nil {
		return err
	}
	ready()
	return nil
}
