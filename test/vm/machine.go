package vm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ivtd/ivt/test/vm/kernels"
	"github.com/ivtd/ivt/test/vm/wire"
)

// qemu is the emulator; Debian's package qemu-system-x86.
const qemu = "qemu-system-x86_64"

// machine is a VM to boot.
type machine struct {
	kernel    *kernels.Kernel
	initramfs string // path
	dir       string // for its files, removed by the caller
	noIOMMU   bool
	shell     bool // console on our terminal
	memory    int  // MiB
	icount    bool // time is the number of instructions

	cpu time.Duration // what boot took of the host
}

// The descriptors that QEMU inherits, from 3 on, in this order.
const (
	fdControl = iota + 3
	fdMonitor
	fdIvshmem0
	fdIvshmem1
)

// args is QEMU's command line. All randomness that could be taken out is, and
// what depends on paths is not part of the machine's identity, see identity.
func (m *machine) args() []string {
	args := append(m.hardware(),
		"-blockdev", "driver=file,node-name=disk0,filename="+filepath.Join(m.dir, "disk0"),
		"-chardev", fmt.Sprintf("socket,id=control,fd=%d", fdControl),
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", fdMonitor),
		"-chardev", fmt.Sprintf("socket,id=ivshmem0,fd=%d", fdIvshmem0),
		"-chardev", fmt.Sprintf("socket,id=ivshmem1,fd=%d", fdIvshmem1),
		"-device", "virtserialport,bus=harness.0,chardev=control,name="+wire.Port,
		"-mon", "chardev=monitor,mode=control",
		"-kernel", m.kernel.Image, "-initrd", m.initramfs, "-append", m.commandLine())
	if m.shell {
		return append(args, "-chardev", "stdio,id=console,mux=on,signal=off", "-mon", "chardev=console,mode=readline",
			"-serial", "chardev:console")
	}
	return append(args, "-chardev", "file,id=console,path=/dev/stdout", "-serial", "chardev:console")
}

// hardware is software emulation, so that every machine can run it.
func (m *machine) hardware() []string {
	args := []string{"-accel", "tcg,thread=multi"}
	if m.icount {
		args = []string{"-accel", "tcg,thread=single", "-icount", "shift=2,sleep=off"}
	}
	args = append(args,
		"-machine", "q35,kernel-irqchip=split", "-cpu", "max",
		"-smp", "2", "-m", fmt.Sprint(m.memory),
		"-nodefaults", "-display", "none", "-no-reboot",
		// Two hubs with two cards each: what one sends, the other receives.
		"-netdev", "hubport,id=net0,hubid=0", "-netdev", "hubport,id=net1,hubid=0",
		"-netdev", "hubport,id=net2,hubid=1", "-netdev", "hubport,id=net3,hubid=1",
	)
	if !m.noIOMMU {
		args = append(args, "-device", "intel-iommu,intremap=on,caching-mode=on")
	}
	args = append(args, "-device", "virtio-serial-pci,id=harness,addr=0x18,romfile=")
	return append(args, deviceArgs()...)
}

// commandLine is the kernel's. iomem=relaxed lets a test reach a device's
// registers through sysfs while a driver has it, as the hardware's other side.
func (m *machine) commandLine() string {
	line := []string{
		"console=ttyS0", "loglevel=5", "panic=-1", "oops=panic", "nokaslr", "mitigations=off",
		"iomem=relaxed", "printk.devkmsg=on", "net.ifnames=0", "watchdog_thresh=30", "rdinit=/init", "no_timer_check",
	}
	if !m.noIOMMU {
		line = append(line, "intel_iommu=on")
	}
	if m.shell {
		line = append(line, "quiet")
	}
	return strings.Join(line, " ")
}

// identity is all of the machine that could change a result, less the
// initramfs.
func (m *machine) identity() (string, error) {
	version, err := exec.Command(qemu, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%w; try: apt-get install qemu-system-x86", err)
	}
	return strings.Join(append(m.hardware(), string(version), m.commandLine(), filepath.Dir(m.kernel.Image)), "\n"), nil
}

// files makes the disk of nvme0, whose blocks exist once written.
func (m *machine) files() error {
	f, err := os.Create(filepath.Join(m.dir, "disk0"))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(32 << 20)
}
