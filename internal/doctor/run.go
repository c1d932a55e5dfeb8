package doctor

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/vectormap"
	"github.com/ivtd/ivt/irq"
)

// Options say what Run reads. The zero value looks at a machine with its own kernel log.
type Options struct {
	// Log is the kernel log: a file, "-" for Stdin, "" for /dev/kmsg of the live machine. Any format that
	// package explain knows.
	Log   string
	Stdin io.Reader // for "-"
	// Sample is the time between two pictures of a live machine, from which rates are computed; 0 means one second,
	// negative takes one picture only.
	Sample time.Duration
	// Ours is Input.Ours.
	Ours func(host.Holder) bool

	kmsg string // instead of /dev/kmsg, for tests
}

// Run looks at a machine and says what is wrong. The error is for a machine that cannot be read at all, a log
// that was named and cannot be read, and ctx; what else cannot be seen is in Report.Unseen.
func Run(ctx context.Context, root *host.Root, o Options) (*Report, error) {
	in := Input{Ours: o.Ours}
	if !root.Live() {
		in.Name = root.Name()
	}
	if err := in.readLog(root, o); err != nil {
		return nil, err
	}
	if err := in.readMachine(ctx, root, o); err != nil {
		return nil, err
	}
	if arch := in.Machine.Arch; arch == "" || (&exam{m: in.Machine}).isX86() {
		var err error
		if in.Map, err = vectormap.Read(ctx, root, vectormap.Options{}); err != nil {
			in.MapWhy = why(err)
		}
	}
	return Examine(in), ctx.Err()
}

func (in *Input) readLog(root *host.Root, o Options) (err error) {
	if !root.Live() && o.Log == "" {
		in.LogWhy = "a saved machine has no log"
		return nil
	}
	in.Log, in.LogName, in.LogWhy, err = readLog(o)
	return err
}

// readMachine takes the first picture, waits, and takes the second one with everything.
func (in *Input) readMachine(ctx context.Context, root *host.Root, o Options) (err error) {
	wait := o.Sample
	if wait == 0 {
		wait = time.Second
	}
	if root.Live() && wait > 0 {
		if in.Before, err = root.Read(ctx, host.Options{Parts: host.PartCounts | host.PartSystem | host.PartSpurious}); err != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	in.Machine, err = root.Read(ctx, host.Options{Parts: Parts})
	return err
}

// why is an error in as few words as there are.
func why(err error) string {
	var e *irq.Error
	if errors.As(err, &e) && e.Detail != "" {
		return e.Detail
	}
	return err.Error()
}
