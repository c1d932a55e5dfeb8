package doctor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/ivtd/ivt/internal/doctor/explain"
)

// kmsgFile is where the kernel shows its log, record by record.
const kmsgFile = "/dev/kmsg"

// maxKmsg bounds how much is read of a log that grows faster than it is read. The kernel's buffer is at most 32 MB.
const maxKmsg = 64 << 20

// readLog reads the log that the options name. A log that cannot be read is a reason and no error, unless it was asked for.
func readLog(o Options) (l *explain.Log, name, why string, err error) {
	switch o.Log {
	case "":
		l, why = readKmsg(firstOf(o.kmsg, kmsgFile))
		return l, kmsgFile, why, nil
	case "-":
		l, err = explain.Collect(o.Stdin)
		return l, "standard input", "", wrapLog("standard input", err)
	}
	f, err := os.Open(o.Log)
	if err != nil {
		return nil, o.Log, "", wrapLog(o.Log, err)
	}
	defer f.Close()
	l, err = explain.Collect(f)
	return l, o.Log, "", wrapLog(o.Log, err)
}

func wrapLog(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read the log from %s: %w", name, err)
}

// readKmsg reads the kernel's buffer as it is now.
func readKmsg(name string) (l *explain.Log, why string) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, name + " may not be read"
	case errors.Is(err, fs.ErrNotExist):
		return nil, "there is no " + name
	case err != nil:
		return nil, err.Error()
	}
	defer f.Close()
	l, err = explain.Collect(io.LimitReader(&kmsg{f}, maxKmsg))
	if err != nil {
		return nil, err.Error()
	}
	return l, ""
}

// A kmsg gives one record a read. At the end of the buffer the device waits for more; there the log ends here.
type kmsg struct{ f *os.File }

// patience is how long a read waits where there is no record left. Records that are there come at once.
const patience = 20 * time.Millisecond

// Read implements io.Reader. A record that was overwritten before it was read is left out (EPIPE), as dmesg does.
func (k *kmsg) Read(p []byte) (int, error) {
	for {
		if err := k.f.SetReadDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
			return 0, err
		}
		n, err := k.f.Read(p)
		switch {
		case errors.Is(err, syscall.EPIPE):
			continue
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.EAGAIN):
			return 0, io.EOF
		}
		return n, err
	}
}
