package host_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/irq"
)

func TestSelect(t *testing.T) {
	m := read(t, "x86-6.1", host.PartAll)
	three, two := 3, 2
	for _, c := range []struct {
		name string
		f    host.Filter
		want string
	}{
		{"all held", host.Filter{Held: true, Driver: "nvme"}, "124 125"},
		{"free", host.Filter{Free: true}, "3 140"},
		{"pid", host.Filter{PID: 4711}, "126"},
		{"thread", host.Filter{PID: 501}, "122"},
		{"unit", host.Filter{Unit: "nic-worker@1.service"}, "126"},
		{"handler", host.Filter{Driver: "acpi"}, "9"},
		{"driver of a shared line", host.Filter{Driver: "ehci-pci"}, "16"},
		{"fired on a CPU", host.Filter{CPU: &three}, "1 9 16 126 128 129 130 131"},
		{"an offline CPU", host.Filter{CPU: &two}, ""},
		{"interface", host.Filter{Target: "eth0"}, "127 128 129 130"},
		{"interface and CPU", host.Filter{Target: "eth0", CPU: &three}, "128 129 130"},
		{"disk", host.Filter{Target: "/dev/nvme0n1"}, "124 125"},
		{"address", host.Filter{Target: "3b:00.0"}, "126 140"},
		{"vector", host.Filter{Target: "pci:0000:3b:00.0/msix/2"}, "126"},
		{"number", host.Filter{Target: "irq:9"}, "9"},
		{"uio", host.Filter{Target: "uio0"}, "19"},
	} {
		chosen, err := m.Select(c.f)
		var got []string
		for _, q := range chosen {
			got = append(got, fmt.Sprint(q.Number))
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v %v, want %s", c.name, got, err, c.want)
		}
	}
	if _, err := m.Select(host.Filter{Target: "eth7"}); !errors.Is(err, irq.ErrNoSuchDevice) {
		t.Error(err)
	}
	if _, err := m.Select(host.Filter{Held: true, Free: true}); !errors.Is(err, irq.ErrInvalidParameter) {
		t.Error(err)
	}
}
