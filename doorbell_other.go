//go:build !linux

package ivt

import "github.com/ivtd/ivt/irq"

type doorbellFile struct{}

func newDoorbellFile(int) (*doorbellFile, error) { return nil, irq.ErrNotSupported }

func (*doorbellFile) ring(string, uint64) error { return irq.ErrNotSupported }
func (*doorbellFile) close() error              { return nil }
