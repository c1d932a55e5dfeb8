package examples

//vm:program ./examples/button
//vm:file ../../../examples/button/button.toml ../../../examples/button/button.py
//vm:python array json os socket struct

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/test/vm/guest"
)

// TestButton presses a button of a simulated chip: the counter of each language counts every press, at the time that the kernel
// took with the edge.
func TestButton(t *testing.T) {
	guest.Require(t)
	chip := guest.NewGPIOChip(t, guest.GPIOLine{Name: "button"})
	d := serve(t, "button.toml", "gpiochip0", chip.Name)
	vector := "gpio:" + chip.Name + "/0"
	d.refused(bob, "5 ERROR_ACCESS_DENIED", "button", vector)
	for _, language := range []struct {
		name  string
		words []string
	}{{"Go", []string{"button", vector}}, {"Python", []string{"/work/host/python3", "-I", "-S", "button.py", vector}}} {
		t.Run(language.name, func(t *testing.T) {
			d.t = t
			counter := d.start(alice, language.words...)
			counter.says("connected %s", vector)
			for n := 1; n <= 5; n++ {
				before := monotonic(t)
				chip.Pull(t, 0, true)
				after := monotonic(t)
				chip.Pull(t, 0, false) // no rising edge
				var number int
				var at float64
				line := counter.line()
				if _, err := fmt.Sscanf(line, "press %d at %f s", &number, &at); err != nil || number != n {
					t.Fatalf("press %d: it says %q", n, line)
				}
				if at < before-1e-6 || at > after+1e-6 { // what is printed is rounded
					t.Errorf("press %d at %.9f s was between %.9f and %.9f", n, at, before, after)
				}
			}
			d.refused(alice, "763", language.words...)
			counter.kill()
			d.free(vector)
		})
	}
}

// monotonic is CLOCK_MONOTONIC in seconds.
func monotonic(t *testing.T) float64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return float64(ts.Sec) + float64(ts.Nsec)/1e9
}
