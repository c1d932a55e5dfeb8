package bind

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/term"
)

// What --dry-run prints: everything in use, every file and value, and hostile names harmlessly.
func TestText(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "e1000e", "4")
	tr.nic("eth0", up)
	tr.class(nic, "tty/ttyS4", "tty", "4:68", "ttyS4")
	tr.process("42", "evil\x1b[2J", "/dev/ttyS4")
	p, err := Bind(t.Context(), nic, Options{Root: tr.root, Persist: true})
	if p == nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := p.Write(term.Output{Writer: &b, Width: 80}); err != nil {
		t.Fatal(err)
	}
	want := `0000:00:06.0 (8086:10d3, class 020000), bound to e1000e, IOMMU group 4
in use: eth0 is up
        ip link set eth0 down
in use: pid 42 (evil\x1b[2J) has /dev/ttyS4 open
        end it: kill 42
 1. give it to vfio-pci at every boot
      write /etc/udev/rules.d/70-ivt-0000:00:06.0.rules
        # Written by ivt bind --persist; ivt unbind --persist 0000:00:06.0 removes it.
        ACTION=="add", SUBSYSTEM=="pci", KERNEL=="0000:00:06.0", ATTR{vendor}=="0x8086", ATTR{device}=="0x10d3", ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci", RUN+="/bin/sh -c 'test -e /sys/bus/pci/drivers/vfio-pci/0000:00:06.0 || { echo 0000:00:06.0 > /sys/bus/pci/devices/0000:00:06.0/driver/unbind; echo 0000:00:06.0 > /sys/bus/pci/drivers_probe; }'"
 2. keep what it had
      write /run/ivt/bind/0000:00:06.0.json
        {"address":"0000:00:06.0","vendor":"0x8086","product":"0x10d3","previous":"e1000e","override":"","driver":"vfio-pci"}
 3. take it from e1000e
      echo "0000:00:06.0" > /sys/bus/pci/drivers/e1000e/unbind
 4. let vfio-pci alone have it
      echo "vfio-pci" > /sys/bus/pci/devices/0000:00:06.0/driver_override
 5. give it to vfio-pci
      echo "0000:00:06.0" > /sys/bus/pci/drivers/vfio-pci/bind
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
