//go:build linux

package kernel

import (
	"errors"
	"os"
	"testing"
)

func TestEventfdCountTakesNothing(t *testing.T) {
	fd := eventfd(t)
	for _, add := range []uint64{3, 0x1000} {
		if err := WriteEventfd(fd, add); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if n, err := EventfdCount(fd); n != 0x1003 || err != nil {
			t.Errorf("counted %#x, %v", n, err)
		}
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := EventfdCount(int(f.Fd())); !errors.Is(err, errNoEventfd) {
		t.Errorf("no eventfd: %v", err)
	}
}

func FuzzEventfdCount(f *testing.F) {
	f.Add([]byte("pos:\t0\nflags:\t02000002\neventfd-count:                1f\neventfd-id: 12\n"))
	f.Add([]byte("eventfd-count:"))
	f.Fuzz(func(t *testing.T, b []byte) { parseEventfdCount(b) })
}

func FuzzGPIOEvents(f *testing.F) {
	f.Add(make([]byte, 3*GPIOEventSize+5))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := len(DecodeGPIOEvents(nil, b)); n != len(b)/GPIOEventSize {
			t.Errorf("%d events in %d bytes", n, len(b))
		}
	})
}
