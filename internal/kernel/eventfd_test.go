//go:build linux

package kernel

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Whether the eventfd blocks or not, AwaitEventfd waits until it has a count and takes it whole.
func TestAwaitEventfdWaits(t *testing.T) {
	for name, flag := range map[string]func(int) error{"blocking": SetBlocking, "nonblocking": SetNonblock} {
		t.Run(name, func(t *testing.T) {
			fd, err := ClientEventfd()
			if err != nil {
				t.Fatal(err)
			}
			defer Close(fd)
			if err := flag(fd); err != nil {
				t.Fatal(err)
			}
			got := make(chan uint64)
			go func() {
				for {
					n, err := AwaitEventfd(fd)
					if err != nil {
						t.Error(err)
					}
					if got <- n; n == 1000 {
						return
					}
				}
			}()
			for _, n := range []uint64{1, 1 << 40, 1000} {
				if err := WriteEventfd(fd, n); err != nil {
					t.Fatal(err)
				}
				if got := <-got; got != n {
					t.Errorf("it took %d of %d", got, n)
				}
			}
		})
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := AwaitEventfd(int(null.Fd())); err != unix.EINVAL {
		t.Errorf("of no eventfd: %v", err)
	}
	if _, err := AwaitEventfd(-1); err != unix.EBADF {
		t.Errorf("of no descriptor: %v", err)
	}
}

// Monotonic is the kernel's CLOCK_MONOTONIC, whoever reads it.
func TestMonotonicIsTheKernelsClock(t *testing.T) {
	for range 1000 {
		var between unix.Timespec
		before := Monotonic()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &between); err != nil {
			t.Fatal(err)
		}
		if after := Monotonic(); between.Nano() < before || after < between.Nano() {
			t.Fatalf("%d, %d, %d", before, between.Nano(), after)
		}
	}
}
