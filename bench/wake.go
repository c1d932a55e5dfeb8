package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

var wakeRows = []row{
	{"eventfd -> Go handler, dedicated thread, against C epoll_wait", atMost(1), func(b *bench) (ours, peer sample, err error) {
		return b.waking("dedicated")
	}},
	{"eventfd -> Go handler, Go's poller, against C epoll_wait", atMost(1.3), func(b *bench) (ours, peer sample, err error) {
		return b.waking("poller")
	}},
}

const wakeRepeats = 5000

// waking compares a driver of package ivt with one in C. Both are processes that answer each wake-up; the same C program
// wakes them and takes the time.
func (b *bench) waking(style string) (ours, peer sample, err error) {
	b.pinned = true
	program, err := b.compile()
	if err != nil {
		return nil, nil, err
	}
	o, err := b.roundTrip(program, func(in, out *os.File) error { return b.handOver(style, in, out) })
	if err != nil {
		return nil, nil, err
	}
	p, err := b.roundTrip(program, func(in, out *os.File) error {
		c := exec.Command(program, "handle", "3", "4")
		c.ExtraFiles = []*os.File{in, out}
		return b.launch(c)
	})
	if err != nil {
		return nil, nil, err
	}
	return b.sideBySide(o, p)
}

// roundTrip makes a pair of eventfds, starts who answers, and who rings.
func (b *bench) roundTrip(program string, answer func(in, out *os.File) error) (*ringer, error) {
	var files [2]*os.File
	for i := range files {
		fd, err := kernel.Eventfd()
		if err != nil {
			return nil, err
		}
		files[i] = os.NewFile(uintptr(fd), "eventfd")
		b.later(func() { files[i].Close() })
	}
	if err := answer(files[0], files[1]); err != nil {
		return nil, err
	}
	return b.ring(program, files[0], files[1], wakeRepeats, 8)
}

// handOver starts a driver as ivt connect -- CMD does: with the eventfd and a lifeline as inherited descriptors.
func (b *bench) handOver(style string, in, out *os.File) error {
	ours, theirs, err := kernel.Socketpair()
	if err != nil {
		return err
	}
	b.later(func() { kernel.Close(ours) })
	lifeline := os.NewFile(uintptr(theirs), "lifeline")
	defer lifeline.Close()
	_, err = b.start("waker", []*os.File{in, lifeline, out}, "IVT_BENCH_STYLE="+style)
	return err
}

// wake is the driver: an ivt.Connection with one eventfd, whose handler answers on descriptor 5.
func wake() error {
	for name, value := range map[string]string{"LISTEN_PID": fmt.Sprint(os.Getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "eventfd0:lifeline",
		"IVT_VECTORS": "pci:0000:00:00.0/msix/0", "IVT_CONNECTION": "c1", "IVT_GENERATION": "1", "IVT_SOCKET": "/nonexistent"} {
		os.Setenv(name, value)
	}
	var options []ivt.Option
	if os.Getenv("IVT_BENCH_STYLE") == "dedicated" {
		options = append(options, ivt.Dedicated())
	}
	c, err := ivt.Inherited(options...)
	if err != nil {
		return err
	}
	go func() {
		ready()
		os.Exit(0)
	}()
	return c.Handle(context.Background(), func(ivt.Interrupt) irq.Verdict {
		kernel.WriteEventfd(5, 1)
		return irq.Handled
	})
}
