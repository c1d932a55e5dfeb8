package main

import (
	"context"
	"os"
	"os/exec"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/varlink"
)

var streamRows = []row{
	{"doorbell -> ivtd -> stream, against a C relay of SEQPACKET", atMost(1.5), (*bench).streaming},
}

// streaming compares the way of a doorbell's ring through ivtd with the least that a relay in C does: the same program
// rings, and waits for the record, on both.
func (b *bench) streaming() (ours, peer sample, err error) {
	b.pinned = true
	program, err := b.compile()
	if err != nil {
		return nil, nil, err
	}
	bell, stream, err := b.doorbell()
	if err != nil {
		return nil, nil, err
	}
	o, err := b.ring(program, bell, stream, wakeRepeats, record.BellSize)
	if err != nil {
		return nil, nil, err
	}
	p, err := b.relay(program)
	if err != nil {
		return nil, nil, err
	}
	return b.sideBySide(o, p)
}

// doorbell returns the raiser's and the holder's descriptor of one vector of an ivtd.
func (b *bench) doorbell() (bell, stream *os.File, err error) {
	socket, _, err := b.ivtd(64)
	if err != nil {
		return nil, nil, err
	}
	c, err := ivt.Connect(context.Background(), "soft:bench/1", ivt.Socket(socket))
	if err != nil {
		return nil, nil, err
	}
	files, _, err := c.Handover()
	if err != nil {
		return nil, nil, err
	}
	b.later(func() {
		for _, f := range files {
			f.Close()
		}
		c.Disconnect(context.Background())
	})
	session, err := varlink.Dial(context.Background(), socket)
	if err != nil {
		return nil, nil, err
	}
	b.later(func() { session.Close() })
	var out api.DoorbellOut
	d, err := session.CallDescriptors(context.Background(), api.Name+".Doorbell", api.VectorIn{Vector: "soft:bench/1"}, &out)
	if err != nil {
		return nil, nil, err
	}
	bell, err = d.File(out.Doorbell, "doorbell")
	return bell, files[0], err
}

// relay starts the C relay between two socketpairs.
func (b *bench) relay(program string) (*ringer, error) {
	var ends [4]*os.File
	for i := 0; i < 4; i += 2 {
		one, two, err := kernel.Socketpair()
		if err != nil {
			return nil, err
		}
		ends[i], ends[i+1] = os.NewFile(uintptr(one), "one"), os.NewFile(uintptr(two), "two")
	}
	b.later(func() {
		for _, f := range ends {
			f.Close()
		}
	})
	c := exec.Command(program, "relay", "3", "4", "56")
	c.ExtraFiles = []*os.File{ends[1], ends[2]}
	if err := b.launch(c); err != nil {
		return nil, err
	}
	return b.ring(program, ends[0], ends[3], wakeRepeats, record.BellSize)
}
