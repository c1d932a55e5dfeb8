//go:build linux

package source

import "github.com/ivtd/ivt/internal/kernel"

// copies returns descriptors that are copies of d's, all or none.
func (d Descriptors) copies() (Descriptors, error) {
	c := Descriptors{Delivery: d.Delivery, FD: -1, Unmask: -1, Device: -1, Container: -1}
	for _, fd := range []struct{ from, to *int }{{&d.FD, &c.FD}, {&d.Unmask, &c.Unmask}, {&d.Device, &c.Device}, {&d.Container, &c.Container}} {
		if *fd.from < 0 {
			continue
		}
		copied, err := kernel.Duplicate(*fd.from)
		if err != nil {
			c.Close()
			return Descriptors{}, err
		}
		*fd.to = copied
	}
	return c, nil
}

// Close closes the copies. The source's own stay open.
func (d Descriptors) Close() {
	for _, fd := range []int{d.FD, d.Unmask, d.Device, d.Container} {
		if fd >= 0 {
			kernel.Close(fd)
		}
	}
}
