package ivt

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
)

// doorbellFile is the raiser's half of a doorbell, in Go's poller.
type doorbellFile struct {
	file *os.File
	mu   sync.Mutex
	bell []byte // guarded by mu
}

func newDoorbellFile(fd int) (*doorbellFile, error) {
	if err := kernel.SetNonblock(fd); err != nil {
		return nil, errors.Join(err, kernel.Close(fd))
	}
	return &doorbellFile{file: os.NewFile(uintptr(fd), "doorbell")}, nil
}

func (d *doorbellFile) ring(vector string, n uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bell = record.AppendBell(d.bell[:0], max(n, 1))
	_, err := d.file.Write(d.bell)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return &irq.Error{Code: irq.ErrNotConnected, Operation: "ring", Name: vector, Reason: irq.ReasonSourceGone, Err: err,
			Detail: "the doorbell has ended: its source left, or ivtd", Remedies: []string{"open it again"}}
	}
	return err
}

func (d *doorbellFile) close() error { return d.file.Close() }
