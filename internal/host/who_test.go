package host_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/hosttest"
	"github.com/ivtd/ivt/irq"
)

// who is one holder as a test's table has it.
func who(h host.Holder) string {
	s := string(h.Kind)
	switch h.Kind {
	case irq.HolderProcess:
		s = fmt.Sprintf("pid %d %s", h.PID, h.Command)
		if h.UID != nil {
			s += fmt.Sprintf(" uid %d", *h.UID)
		}
		s += " " + h.Unit + " by " + h.Via
	case irq.HolderKernel:
		s += " " + strings.TrimSpace(h.Driver+" "+h.Device)
	}
	if !h.Certain {
		s += " ?"
	}
	return s
}

func all(holders []host.Holder) (list []string) {
	for _, h := range holders {
		list = append(list, who(h))
	}
	return list
}

func TestHolders(t *testing.T) {
	for _, c := range []struct {
		tree string
		irq  int
		want []string
	}{
		{"x86-6.1", 0, []string{"kernel timer"}},
		{"x86-6.1", 16, []string{"kernel i801_smbus", "kernel ehci_hcd:usb1"}}, // which device is whose is not known
		{"x86-6.1", 125, []string{"kernel nvme 0000:3d:00.0"}},
		{"x86-6.1", 126, []string{"pid 4711 nicd uid 1000 nic-worker@1.service by /dev/vfio/12 (fd 4)"}},
		{"x86-6.1", 131, []string{"pid 4712 helper uid 1000 user@1000.service by a VFIO device descriptor (fd 3), of which this kernel does not say the device ?"}},
		{"x86-6.1", 19, []string{"pid 4800 fpgad uid 0 machine-vm.scope by /dev/uio0 (fd 3)"}},
		{"x86-6.1", 4, []string{"pid 901 agetty uid 0 serial-getty@ttyS0.service by /dev/ttyS0 (fd 3)", "kernel ttyS0"}},
		{"x86-6.1", 140, nil},
		{"x86-6.18", 16, []string{"pid 101 passed uid 42 vmm.service by its device descriptor (fd 3)"}},
		{"x86-6.18", 26, []string{"pid 100 dpdk-app uid 0 docker-0a1b2c.scope by /dev/vfio/devices/vfio3 (fd 3)"}},
		{"x86-6.18", 28, []string{"pid 103 pulse uid 1000 session-3.scope by /dev/snd/controlC0 (fd 3)", "kernel snd_hda_intel 0000:00:1f.3"}},
		{"x86-6.18", 30, []string{"pid 102 gpiod uid 7 nicd.service by gpiochip0 line 17 (fd 4)"}},
		{"x86-6.18", 31, []string{"kernel Power Button"}},
		{"riscv", 11, []string{"pid 90 getty uid 0  by /dev/ttySIF0 (fd 3)", "kernel sifive-serial"}},
		{"arm64", 24, []string{"kernel dma-pl330 fd300000.dma"}},
	} {
		m := read(t, c.tree, host.PartHolders|host.PartDescriptors)
		if d := cmp.Diff(c.want, all(m.IRQ(c.irq).Holders)); d != "" {
			t.Errorf("%s irq %d: %s", c.tree, c.irq, d)
		}
	}
}

func TestIRQHolder(t *testing.T) {
	r := hosttest.Open(t, "testdata/x86-6.1.tree")
	holders, err := r.IRQHolder(context.Background(), 126)
	if err != nil || len(holders) != 1 || holders[0].PID != 4711 || holders[0].StartTime != 81234 || *holders[0].GID != 1001 {
		t.Errorf("%+v %v", holders, err)
	}
	if holders, err := r.IRQHolder(context.Background(), 140); err != nil || len(holders) != 0 {
		t.Errorf("an irq that nobody requested: %+v %v", holders, err)
	}
	if _, err := r.IRQHolder(context.Background(), 999); !errors.Is(err, irq.ErrNoSuchDevice) {
		t.Error(err)
	}
}

func TestWho(t *testing.T) {
	nicd := "pid 4711 nicd uid 1000 nic-worker@1.service by /dev/vfio/12 (fd 4)"
	nicdAll := "pid 4711 nicd uid 1000 nic-worker@1.service by /dev/vfio/12 (fd 4), anon_inode:[vfio-device] (fd 5)"
	dpdk := "pid 100 dpdk-app uid 0 docker-0a1b2c.scope by /dev/vfio/devices/vfio3 (fd 3)"
	gpiod := "pid 102 gpiod uid 7 nicd.service by gpiochip0 line 17 (fd 4)"
	for _, c := range []struct {
		tree, target, kind string
		irqs               []int
		holders            []string
		note               string
	}{
		{"x86-6.1", "126", host.KindIRQ, []int{126}, []string{nicd}, ""},
		{"x86-6.1", "irq:126", host.KindIRQ, []int{126}, []string{nicd}, ""},
		{"x86-6.1", "140", host.KindIRQ, []int{140}, nil, "no driver has requested it"},
		{"x86-6.1", "pci:0000:3b:00.0/msix/2", host.KindVector, []int{126}, []string{nicd}, ""},
		{"x86-6.1", "pci:0000:3b:00.0/msix/9", host.KindVector, nil, nil, "no irq is allocated"},
		{"x86-6.1", "pci:0000:3b:00.0/intx/0", host.KindVector, []int{126, 140}, []string{nicd}, "the device's mode is msix"},
		{"x86-6.1", "pci:0000:00:05.0/intx/0", host.KindVector, []int{18}, []string{"kernel snd_ens1371 0000:00:05.0"}, ""},
		{"x86-6.1", "3b:00.0", host.KindPCI, []int{126, 140}, []string{nicd}, ""},
		{"x86-6.1", "0000:3b:00.1", host.KindPCI, []int(nil), []string{"kernel e1000e 0000:3b:00.1"}, ""},
		{"x86-6.1", "0000:00:1e.0", host.KindPCI, []int(nil), nil, "no driver is bound"},
		{"x86-6.1", "/dev/vfio/12", host.KindVFIO, []int{126, 140}, []string{nicd, "kernel e1000e 0000:3b:00.1"}, "bound to e1000e"},
		{"x86-6.1", "/dev/uio0", host.KindUIO, []int{19}, []string{"pid 4800 fpgad uid 0 machine-vm.scope by /dev/uio0 (fd 3)"}, ""},
		{"x86-6.1", "uio:uio0/0", host.KindUIO, []int{19}, []string{"pid 4800 fpgad uid 0 machine-vm.scope by /dev/uio0 (fd 3)"}, ""},
		{"x86-6.1", "eth0", host.KindNet, []int{127, 128, 129, 130}, []string{"kernel i40e 0000:03:00.0"}, ""},
		{"x86-6.1", "eth0/rx-0", host.KindNet, []int{128}, []string{"kernel i40e 0000:03:00.0"}, ""},
		{"x86-6.1", "eth0/0", host.KindNet, []int{128, 129}, []string{"kernel i40e 0000:03:00.0"}, ""},
		{"x86-6.1", "eth0/tx-1", host.KindNet, []int{130}, []string{"kernel i40e 0000:03:00.0"}, ""},
		{"x86-6.1", "br0", host.KindNet, []int{127, 128, 129, 130}, []string{"kernel i40e 0000:03:00.0"}, ""},
		{"x86-6.1", "lo", host.KindNet, nil, nil, "virtual"},
		{"x86-6.1", "nvme0n1", host.KindBlock, []int{124, 125}, []string{"kernel nvme 0000:3d:00.0"}, ""},
		{"x86-6.1", "/dev/nvme0n1p2", host.KindBlock, []int{124, 125}, []string{"kernel nvme 0000:3d:00.0"}, ""},
		{"x86-6.1", "/dev/dm-0", host.KindBlock, []int{124, 125}, []string{"kernel nvme 0000:3d:00.0"}, ""},
		{"x86-6.1", "nvme0n1/q1", host.KindBlock, []int{125}, []string{"kernel nvme 0000:3d:00.0"}, ""},
		{"x86-6.1", "/dev/ttyS0", host.KindDev, []int{4}, []string{"pid 901 agetty uid 0 serial-getty@ttyS0.service by /dev/ttyS0 (fd 3)", "kernel ttyS0"}, ""},
		{"x86-6.1", "/dev/vfio/vfio", host.KindVFIO, nil, nil, "any number"},
		{"x86-6.1", "pid:4711", host.KindPID, []int{126}, []string{nicdAll}, ""},
		{"x86-6.1", "4711", host.KindPID, []int{126}, []string{nicdAll}, ""},
		{"x86-6.1", "pid:501", host.KindPID, []int{122}, []string{"kernel pcieport 0000:00:1c.0"}, "kernel thread of irq 122"},
		{"x86-6.1", "pid:5000", host.KindPID, nil, nil, "holds no interrupt"},
		{"x86-6.1", "nic-worker@1.service", host.KindUnit, []int{126}, []string{nicdAll}, ""},
		{"x86-6.1", "cron.service", host.KindUnit, nil, nil, "no process of cron.service"},
		{"x86-6.1", "acpi", host.KindHandler, []int{9}, []string{"kernel acpi"}, ""},
		{"x86-6.1", "plc timer, east", host.KindHandler, []int{17}, []string{"kernel plc timer, east", "kernel plc timer"}, ""},
		{"x86-6.1", "nvme", host.KindDriver, []int{124, 125}, []string{"kernel nvme 0000:3d:00.0"}, ""},
		{"x86-6.1", "LOC", host.KindRow, nil, []string{"kernel kernel"}, "counted by the architecture's code"},
		{"x86-6.18", "/dev/vfio/devices/vfio3", host.KindVFIO, []int{26, 27}, []string{dpdk}, ""},
		{"x86-6.18", "/dev/vfio/12", host.KindVFIO, []int{26, 27}, []string{dpdk}, ""},
		{"x86-6.18", "/dev/vfio/20", host.KindVFIO, nil, nil, ""},
		{"x86-6.18", "ens4/rx-0", host.KindNet, []int{33}, []string{"kernel virtio-pci 0000:00:04.0"}, ""},
		{"x86-6.18", "nvme5n1", host.KindBlock, []int{24, 25}, []string{"kernel virtio-pci 0000:00:02.0"}, ""}, // shared by controllers
		{"x86-6.18", "GPIO17", host.KindGPIO, []int{30}, []string{gpiod}, ""},
		{"x86-6.18", "gpiochip0/17", host.KindGPIO, []int{30}, []string{gpiod}, ""},
		{"x86-6.18", "gpio:gpiochip0/17", host.KindGPIO, []int{30}, []string{gpiod}, ""},
		{"x86-6.18", "gpiochip0/18", host.KindGPIO, []int{31}, []string{"kernel Power Button gpiochip0/18 ?", "kernel Power Button"}, ""},
		{"x86-6.18", "GPIO19", host.KindGPIO, nil, nil, ""},
		{"x86-6.18", "GPIO20", host.KindGPIO, nil, []string{"kernel pinctrl gpiochip0/20 ?"}, ""}, // EBUSY of the pin controller
		{"x86-6.18", "/dev/snd/controlC0", host.KindDev, []int{28}, []string{"pid 103 pulse uid 1000 session-3.scope by /dev/snd/controlC0 (fd 3)", "kernel snd_hda_intel 0000:00:1f.3"}, ""},
	} {
		t.Run(c.tree+" "+strings.ReplaceAll(c.target, "/", "\\"), func(t *testing.T) {
			a, err := hosttest.Open(t, "testdata/"+c.tree+".tree").Who(context.Background(), c.target)
			if err != nil {
				t.Fatal(err)
			}
			var numbers []int
			for _, q := range a.IRQs {
				numbers = append(numbers, q.Number)
			}
			if a.Kind != c.kind || !cmp.Equal(numbers, c.irqs) || a.Held() != (len(c.holders) > 0) {
				t.Errorf("%s, irqs %v, want %s %v", a.Kind, numbers, c.kind, c.irqs)
			}
			got, want := all(a.Holders), slices.Clone(c.holders)
			slices.Sort(got)
			slices.Sort(want)
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if !strings.Contains(strings.Join(a.Notes, "\n"), c.note) {
				t.Errorf("notes %q, want %q", a.Notes, c.note)
			}
		})
	}
}

// A driver that has a line as its interrupt never requested it, and what each kernel shows of such a line is not what the next one
// shows. An irqchip has its device's name or its driver's.
func TestWhoFindsTheInterruptThatALineIs(t *testing.T) {
	const one = `
== proc/interrupts
           CPU0       CPU1
  5:          7          0  IR-IO-APIC   5-edge      acpi
 24:          3          0  intel-gpio   5  ttyS1
 26:          3          0  1-0020   6  touch
== sys/bus/gpio/devices/gpiochip0 -> ../../../devices/platform/INT344B:00/gpiochip0
`
	const two = one + "== sys/bus/gpio/devices/gpiochip1 -> ../../../devices/i2c-1/1-0020/gpiochip1\n"
	for _, c := range []struct {
		name, tree, line, target string
		holders                  []string
	}{
		{"6.1", one, "gpiochip0\t5\tused\t\tinterrupt", "gpiochip0/5", []string{"kernel ttyS1"}},
		{"6.12", one, "gpiochip0\t5\tused\t\t", "gpiochip0/5", []string{"kernel ttyS1"}},
		{"7", one, "gpiochip0\t5\tfree\tRXD\t", "RXD", []string{"kernel ttyS1"}},
		{"used, of two chips", two, "gpiochip0\t5\tused\t\t", "gpiochip0/5", []string{"kernel pinctrl gpiochip0/5 ?"}},
		{"free, of two chips", two, "gpiochip1\t5\tfree\tLED\t", "LED", nil},
		{"the device's name", two, "gpiochip1\t6\tfree\tINT\t", "INT", []string{"kernel touch"}},
		{"no such irq", one, "gpiochip0\t9\tused\t\t", "gpiochip0/9", []string{"kernel pinctrl gpiochip0/9 ?"}},
		{"requested", one, "gpiochip0\t5\tused\t\tled", "gpiochip0/5", []string{"unknown"}},
	} {
		a, err := hosttest.OpenText(t, c.tree+"== ivt/gpio\n"+c.line+"\n").Who(context.Background(), c.target)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := cmp.Diff(c.holders, all(a.Holders)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestWhoRefuses(t *testing.T) {
	for _, c := range []struct {
		target string
		want   irq.Code
		detail string
	}{
		{"999", irq.ErrNoSuchDevice, "no irq 999"},
		{"irq:x", irq.ErrInvalidParameter, ""},
		{"pid:-1", irq.ErrInvalidParameter, "positive"},
		{"pid:99999", irq.ErrNoSuchDevice, "no process 99999"},
		{"0000:ff:00.0", irq.ErrNoSuchDevice, "no PCI device"},
		{"pci:nonsense", irq.ErrInvalidParameter, "no PCI address"},
		{"pci:0000:3b:00.0/msix/x", irq.ErrInvalidParameter, ""},
		{"/dev/nothing", irq.ErrNoSuchDevice, "no such device"},
		{"/dev/vfio/99", irq.ErrNoSuchDevice, "no device belongs to it"},
		{"/dev/uio9", irq.ErrNoSuchDevice, "no UIO device"},
		{"eth0/rx-77", irq.ErrNoSuchDevice, "there are: eth0, eth0-rx-0"},
		{"gpiochip0/x", irq.ErrInvalidParameter, "not a decimal number"},
		{"gpiochip7/1", irq.ErrNoSuchDevice, "no such GPIO line"},
		{"soft:demo/3", irq.ErrNoSuchDevice, "ivtd's own"},
		{"nonsense", irq.ErrNoSuchDevice, "nothing here has this name"},
		{"", irq.ErrInvalidParameter, "no target"},
		{"\x1b[31mred\x00", irq.ErrNoSuchDevice, ""},
	} {
		_, err := hosttest.Open(t, "testdata/x86-6.1.tree").Who(context.Background(), c.target)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.detail) {
			t.Errorf("%q: %v, want %v with %q", c.target, err, c.want, c.detail)
		}
	}
}

func TestWhoSaysWhatItCouldNotSee(t *testing.T) {
	r := hosttest.OpenText(t, "== proc/interrupts\n CPU0\n 16: 5 IO-APIC 16-fasteoi   vfio-intx(0000:02:00.0)\n"+
		"== sys/bus/pci/devices/0000:02:00.0 irq=16 driver=vfio-pci iommu_group=7\n")
	a, err := r.Who(context.Background(), "16")
	if err != nil || len(a.Holders) != 1 || a.Holders[0].Kind != irq.HolderUnknown || !strings.Contains(a.Holders[0].Label, "no processes") {
		t.Errorf("%+v %v", a, err)
	}
}

func TestUnitOf(t *testing.T) {
	for cgroup, want := range map[string]string{
		"/system.slice/nic-worker@1.service":                                           "nic-worker@1.service",
		"/system.slice/system-foo.slice/foo@1.service":                                 "foo@1.service",
		"/system.slice/docker-abc.scope/init":                                          "docker-abc.scope",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/nic-worker@1.service": "user@1000.service", // rule 7: not the unit that it says
		"/user.slice/user-1000.slice/session-3.scope":                                  "session-3.scope",
		"/lxc/box/system.slice/nic-worker@1.service":                                   "",
		"/": "", "": "", "/init.scope": "init.scope", "/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope": "cri-containerd-1.scope",
	} {
		if got := host.UnitOf(cgroup); got != want {
			t.Errorf("%s: %q, want %q", cgroup, got, want)
		}
	}
}
