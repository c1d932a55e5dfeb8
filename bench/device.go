package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/monitor"
)

var deviceRows = []row{
	{"VM: interrupt -> Go client, dedicated thread, against C that owns it", atMost(1.1), func(b *bench) (ours, peer sample, err error) {
		return b.interrupting("dedicated")
	}},
	{"VM: interrupt -> Go client, Go's poller, against C that owns it", atMost(1.3), func(b *bench) (ours, peer sample, err error) {
		return b.interrupting("poller")
	}},
	{"VM: ivtd's system calls, for 1,000 interrupts by eventfd", goal{limit: 1, unit: "calls"}, (*bench).systemCalls},
	{"VM: ivtd's CPU time for an interrupt by eventfd, against the driver's", atMost(0.02), (*bench).cpuTime},
	{"VM: connect + disconnect of a device vector, against bare ioctls", goal{}, (*bench).connectingDevice},
}

// In a sample.
const (
	interrupts     = 200
	deviceConnects = 20
)

// aloneOn is the CPU of the interrupts, and of who raises them and who waits for them.
const aloneOn = 1

// here keeps the calling thread to that CPU.
func here() error { return unix.SchedSetaffinity(0, only(aloneOn)) }

// startHere starts a process that keeps to it.
func startHere(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := here(); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before)
	return start()
}

// interrupting compares a Go client that has its vector from ivtd with a C program that has the whole device and blocks in read().
// Each has an edu of its own.
func (b *bench) interrupting(style string) (ours, peer sample, err error) {
	o, err := b.throughIvt(style)
	if err != nil {
		return nil, nil, err
	}
	address, group, err := forVFIO("edu1")
	if err != nil {
		return nil, nil, err
	}
	p, err := b.raising(address, interrupts, func(answer *os.File) error {
		c := exec.Command("irq", "own", address, group)
		c.ExtraFiles = []*os.File{answer}
		return startHere(func() error { return b.launch(c) })
	})
	if err != nil {
		return nil, nil, err
	}
	return b.sideBySide(o, p)
}

// throughIvt starts an ivtd that has edu0, a Go client of it, and who raises its interrupts.
func (b *bench) throughIvt(style string) (*ringer, error) {
	socket, address, _, err := b.ivtdOf("edu0", "msi")
	if err != nil {
		return nil, err
	}
	return b.raising(address, interrupts, func(answer *os.File) error {
		driver := func() error {
			_, err := b.start("driver", []*os.File{answer}, "GOMAXPROCS="+strconv.Itoa(runtime.NumCPU()), // as many as without an affinity
				"IVT_SOCKET="+socket, "IVT_BENCH_STYLE="+style, "IVT_BENCH_VECTOR=pci:"+address+"/msi/0")
			return err
		}
		if style == "dedicated" {
			return driver() // its one thread goes there itself
		}
		return startHere(driver) // any of its threads may be woken
	})
}

func init() { roles["driver"] = drive }

// drive is the Go client: it writes the time of each wake-up to descriptor 3.
func drive() error {
	var options []ivt.Option
	if os.Getenv("IVT_BENCH_STYLE") == "dedicated" {
		options = append(options, ivt.Dedicated())
	}
	c, err := ivt.Connect(context.Background(), os.Getenv("IVT_BENCH_VECTOR"), options...)
	if err != nil {
		return err
	}
	go func() {
		ready()
		os.Exit(0)
	}()
	return c.Handle(context.Background(), func(i ivt.Interrupt) irq.Verdict {
		if i.Sequence == 1 && options != nil { // this thread is the driver's own
			if err := here(); err != nil {
				fmt.Fprintln(os.Stderr, "driver:", err)
			}
		}
		if err := kernel.WriteEventfd(3, uint64(kernel.Monotonic())); err != nil { // eight bytes in the order of the machine
			fmt.Fprintln(os.Stderr, "driver:", err)
			return irq.Done
		}
		return irq.Handled
	})
}

// raising starts a driver that answers on a pipe, and who raises n interrupts a sample.
func (b *bench) raising(address string, n int, driver func(answer *os.File) error) (*ringer, error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close() // here it would be in the poller, which each answer would wake
	err = driver(out)
	out.Close()
	if err == nil {
		err = enableMaster(address)
	}
	if err == nil {
		err = steer("vfio-msi[0]("+address+")", aloneOn)
	}
	if err != nil {
		return nil, err
	}
	c := exec.Command("irq", "raise", sysfs(address, "resource0"), strconv.Itoa(n))
	c.ExtraFiles = []*os.File{in}
	var r *ringer
	err = startHere(func() (err error) { r, err = b.asking(c); return err })
	return r, err
}

// ivtdOf starts the real ivtd, keeper and worker, with a device.
func (b *bench) ivtdOf(id, interrupts string) (socket, address string, process *exec.Cmd, err error) {
	if address, _, err = forVFIO(id); err != nil {
		return "", "", nil, err
	}
	dir, err := b.folder()
	if err != nil {
		return "", "", nil, err
	}
	config, name := filepath.Join(dir, "ivtd.toml"), "pci:"+address
	text := fmt.Sprintf("[[device]]\nmatch = { name = %q }\ninterrupts = %q\n[[allow]]\nvectors = [\"%s/*\"]\nuser = \"root\"\n", name, interrupts, name)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", "", nil, err
	}
	socket = filepath.Join(dir, "s")
	process = exec.Command("ivtd", "--socket", socket, "--config", config)
	log, err := process.StderrPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		return "", "", nil, err
	}
	b.later(func() {
		process.Process.Signal(syscall.SIGTERM)
		process.Wait()
	})
	return socket, address, process, served(log)
}

// connectingDevice compares a claim on an MSI-X vector with what it comes to in the kernel: an eventfd, the vector pointed to it, and away.
func (b *bench) connectingDevice() (ours, peer sample, err error) {
	socket, address, _, err := b.ivtdOf("nic0", "msix")
	if err != nil {
		return nil, nil, err
	}
	client, err := ivt.NewClient(ivt.Socket(socket))
	if err != nil {
		return nil, nil, err
	}
	b.later(func() { client.Close() })
	other, group, err := forVFIO("nic1")
	if err != nil {
		return nil, nil, err
	}
	p, err := b.asking(exec.Command("irq", "connect", other, group, "2", strconv.Itoa(deviceConnects)))
	if err != nil {
		return nil, nil, err
	}
	ctx := context.Background()
	return repeat(deviceConnects, func() error {
		c, err := client.Connect(ctx, "pci:"+address+"/msix/2")
		if err != nil {
			return err
		}
		return c.Disconnect(ctx)
	}), p.sample, nil
}

// forVFIO gives an emulated device to vfio-pci.
func forVFIO(id string) (address, group string, err error) {
	d, err := monitor.Device(id)
	if err != nil {
		return "", "", err
	}
	address = d.Address
	if err := os.WriteFile(sysfs(address, "driver_override"), []byte("vfio-pci"), 0); err != nil {
		return "", "", err
	}
	if _, err := os.Stat(sysfs(address, "driver")); err != nil {
		if err := os.WriteFile("/sys/bus/pci/drivers_probe", []byte(address), 0); err != nil {
			return "", "", err
		}
	}
	link, err := os.Readlink(sysfs(address, "iommu_group"))
	return address, filepath.Base(link), err
}

func sysfs(address, attribute string) string {
	return filepath.Join("/sys/bus/pci/devices", address, attribute)
}

// enableMaster lets the device send messages, which is the business of whoever programs it.
func enableMaster(address string) error {
	f, err := os.OpenFile(sysfs(address, "config"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte{0x06, 0}, 4) // command: memory, bus master
	return err
}

// steer sends an interrupt to one CPU.
func steer(name string, cpu int) error {
	text, err := os.ReadFile("/proc/interrupts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if number, _, _ := strings.Cut(strings.TrimSpace(line), ":"); strings.Contains(line, name) {
			return os.WriteFile("/proc/irq/"+number+"/smp_affinity_list", []byte(strconv.Itoa(cpu)), 0)
		}
	}
	return fmt.Errorf("/proc/interrupts has no %s", name)
}
