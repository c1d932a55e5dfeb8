package vm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
	pins      bool // see pins.go
	shell     bool // console on our terminal
	memory    int  // MiB
	icount    bool // time is the number of instructions

	cpu  time.Duration // what boot took of the host
	hang []string      // what an examination found, if boot ended for silence
}

// cpus is how many processors the VM has.
const cpus = 2

// The descriptors that QEMU inherits, from 3 on, in this order.
const (
	fdControl = iota + 3
	fdMonitor
	fdExaminer
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
		"-chardev", fmt.Sprintf("socket,id=examiner,fd=%d", fdExaminer),
		"-chardev", fmt.Sprintf("socket,id=ivshmem0,fd=%d", fdIvshmem0),
		"-chardev", fmt.Sprintf("socket,id=ivshmem1,fd=%d", fdIvshmem1),
		"-device", "virtserialport,bus=harness.0,chardev=control,name="+wire.Port,
		"-mon", "chardev=monitor,mode=control",
		"-mon", "chardev=examiner,mode=control",
		"-name", "vm,debug-threads=on",
		"-kernel", m.kernel.Image, "-initrd", m.initramfs, "-append", m.commandLine())
	if m.pins {
		args = append(args, "-acpitable", "file="+m.pinTable())
	}
	if m.shell {
		return append(args, "-chardev", "stdio,id=console,mux=on,signal=off", "-mon", "chardev=console,mode=readline",
			"-serial", "chardev:console")
	}
	return append(args, "-chardev", "file,id=console,path=/dev/stdout", "-serial", "chardev:console")
}

// emulator is what QEMU says of its version, "" if there is none.
var emulator = sync.OnceValue(func() string {
	text, _ := exec.Command(qemu, "--version").Output()
	return string(text)
})

// threading says whether QEMU may run each processor in a thread of its own.
//
// Before 8.2 it must not: when one processor changes where devices' registers
// are, as a driver does that enables or resets a device, another one that
// writes to a register at that moment may write to that of another device
// (tcg_commit in softmmu/physmem.c, QEMU's issue 1864). It can be the end of an
// interrupt that is lost, and then no interrupt of its priority or below ever
// comes again on that processor: the VM stands still.
func threading(version string) string {
	var major, minor int
	if _, err := fmt.Sscanf(version, "QEMU emulator version %d.%d", &major, &minor); err == nil && (major > 8 || major == 8 && minor >= 2) {
		return "multi"
	}
	return "single"
}

// hardware is software emulation, so that every machine can run it.
func (m *machine) hardware() []string {
	args := []string{"-accel", "tcg,thread=" + threading(emulator())}
	if m.icount {
		args = []string{"-accel", "tcg,thread=single", "-icount", "shift=2,sleep=off"}
	}
	args = append(args,
		"-machine", "q35,kernel-irqchip=split", "-cpu", "max",
		"-smp", fmt.Sprint(cpus), "-m", fmt.Sprint(m.memory),
		"-nodefaults", "-display", "none", "-no-reboot",
		// Two hubs with two cards each: what one sends, the other receives.
		"-netdev", "hubport,id=net0,hubid=0", "-netdev", "hubport,id=net1,hubid=0",
		"-netdev", "hubport,id=net2,hubid=1", "-netdev", "hubport,id=net3,hubid=1",
	)
	if !m.noIOMMU {
		args = append(args, "-device", "intel-iommu,intremap=on,caching-mode=on")
	}
	args = append(args, "-device", "virtio-serial-pci,id=harness,addr=0x18,romfile=")
	args = append(args, deviceArgs()...)
	if m.pins {
		args = append(args, pinArgs()...)
	}
	return args
}

// commandLine is the kernel's. iomem=relaxed lets a test reach a device's
// registers through sysfs while a driver has it, as the hardware's other side.
// An NMI is only sent to a VM that hangs: it panics and prints its tasks,
// timers, locks and what all processors do.
func (m *machine) commandLine() string {
	line := []string{
		"console=ttyS0", "loglevel=5", "panic=-1", "oops=panic", "nokaslr", "mitigations=off",
		"iomem=relaxed", "printk.devkmsg=on", "net.ifnames=0", "watchdog_thresh=30", "rdinit=/init", "no_timer_check",
		"unknown_nmi_panic", "panic_print=0x4d", "log_buf_len=1M",
	}
	if !m.noIOMMU {
		line = append(line, "intel_iommu=on")
	}
	if m.pins {
		line = append(line, pinMemory)
	}
	if m.shell {
		line = append(line, "quiet")
	}
	return strings.Join(line, " ")
}

// identity is all of the machine that could change a result, less the
// initramfs.
func (m *machine) identity() (string, error) {
	if _, err := exec.LookPath(qemu); err != nil {
		return "", fmt.Errorf("%w; try: apt-get install qemu-system-x86", err)
	}
	all := append(m.hardware(), emulator(), m.commandLine(), filepath.Dir(m.kernel.Image))
	if m.pins {
		all = append(all, string(pinAML))
	}
	return strings.Join(all, "\n"), nil
}

// files makes the disk of nvme0, whose blocks exist once written, and what QEMU reads of pins.
func (m *machine) files() error {
	if m.pins {
		if err := os.WriteFile(m.pinTable(), pinAML, 0o644); err != nil {
			return err
		}
	}
	f, err := os.Create(filepath.Join(m.dir, "disk0"))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(32 << 20)
}
