package bind_test

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/ivtd/ivt/internal/host/bind"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

//vm:run ^TestVM
//vm:file testdata/minix.img.gz

func run(t *testing.T, command string, words ...string) {
	t.Helper()
	if out, err := exec.Command(command, words...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", command, words, err, out)
	}
}

func must(t *testing.T, p *bind.Plan, err error) {
	t.Helper()
	if err == nil {
		err = p.Do(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A function of its own group goes to vfio-pci and back to nothing.
func TestVMBindEdu(t *testing.T) {
	guest.Require(t)
	edu := guest.Device(t, "edu0")
	p, err := bind.Bind(t.Context(), edu, bind.Options{})
	must(t, p, err)
	if got := guest.Driver(edu); got != "vfio-pci" {
		t.Fatalf("bound to %q", got)
	}
	f, err := os.OpenFile("/dev/vfio/"+guest.Group(edu), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Whoever has the group open is named, and keeps it.
	p, err = bind.Unbind(t.Context(), edu, bind.Options{})
	if !errors.Is(err, irq.ErrStillConnected) || len(p.InUse) != 1 || p.InUse[0].Kind != bind.UseProcess {
		t.Errorf("in use: %v", err)
	}
	t.Log(err)
	f.Close()
	p, err = bind.Unbind(t.Context(), edu, bind.Options{})
	must(t, p, err)
	if got := guest.Driver(edu); got != "" {
		t.Errorf("bound to %q after all", got)
	}
	override, err := os.ReadFile(guest.Sysfs(edu, "driver_override"))
	if err != nil || strings.TrimSpace(string(override)) != "(null)" {
		t.Errorf("driver_override is %q, %v", override, err)
	}
}

// A network card goes to vfio-pci and back to its driver; while its interface is up it stays.
func TestVMBindNetworkCard(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "e1000e")
	nic := guest.Device(t, "nic0")
	guest.Eventually(t, "the interface is there", func() bool { return len(interfaces(nic)) == 1 })
	name := interfaces(nic)[0]
	run(t, "ip", "link", "set", name, "up")
	p, err := bind.Bind(t.Context(), nic, bind.Options{})
	if !errors.Is(err, irq.ErrStillConnected) || len(p.InUse) != 1 || p.InUse[0].What != name+" is up" {
		t.Errorf("up: %v", err)
	}
	run(t, "ip", "addr", "add", "10.8.0.1/24", "dev", name)
	run(t, "ip", "route", "add", "default", "via", "10.8.0.2")
	if p, err = bind.Bind(t.Context(), nic, bind.Options{}); err == nil || !strings.Contains(err.Error(), "default route") {
		t.Errorf("default route: %v", err)
	}
	t.Log(err)
	if err := p.Do(t.Context()); !errors.Is(err, irq.ErrStillConnected) || guest.Driver(nic) != "e1000e" {
		t.Errorf("the refused plan was carried out: %v", err)
	}
	run(t, "ip", "link", "set", name, "down")
	p, err = bind.Bind(t.Context(), nic, bind.Options{})
	must(t, p, err)
	if got := guest.Driver(nic); got != "vfio-pci" {
		t.Errorf("bound to %q", got)
	}
	p, err = bind.Unbind(t.Context(), nic, bind.Options{})
	must(t, p, err)
	if got := guest.Driver(nic); got != "e1000e" {
		t.Errorf("given back to %q", got)
	}
}

func interfaces(address string) []string {
	entries, _ := os.ReadDir(guest.Sysfs(address, "net"))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// makeFileSystem puts an empty Minix file system on a disk (mkfs.minix on 64 KiB).
func makeFileSystem(t *testing.T, path string) {
	t.Helper()
	packed, err := os.Open("testdata/minix.img.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	image, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	disk, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = io.Copy(disk, image)
		err = errors.Join(err, disk.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A mounted disk is in use; a disk that the kernel holds for something else too.
func TestVMBindDisk(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "nvme")
	guest.Load(t, "minix")
	disk := guest.Device(t, "nvme0")
	guest.Eventually(t, "the disk is there", func() bool { _, err := os.Stat("/dev/nvme0n1"); return err == nil })
	makeFileSystem(t, "/dev/nvme0n1")
	at := t.TempDir()
	if err := syscall.Mount("/dev/nvme0n1", at, "minix", 0, ""); err != nil {
		t.Fatal(err)
	}
	p, err := bind.Bind(t.Context(), disk, bind.Options{})
	if !errors.Is(err, irq.ErrStillConnected) || len(p.InUse) == 0 || p.InUse[0].Kind != bind.UseMount || !strings.Contains(p.InUse[0].What, at) {
		t.Errorf("mounted: %v", err)
	}
	t.Log(err)
	if err := syscall.Unmount(at, 0); err != nil {
		t.Fatal(err)
	}
	run(t, "busybox", "mkswap", "/dev/nvme0n1")
	run(t, "busybox", "swapon", "/dev/nvme0n1")
	p, err = bind.Bind(t.Context(), disk, bind.Options{})
	if !errors.Is(err, irq.ErrStillConnected) || len(p.InUse) != 1 || p.InUse[0].Kind != bind.UseSwap {
		t.Errorf("swap: %v", err)
	}
	run(t, "busybox", "swapoff", "/dev/nvme0n1")
	f, err := os.OpenFile("/dev/nvme0n1", os.O_RDONLY|syscall.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err = bind.Bind(t.Context(), disk, bind.Options{})
	if !errors.Is(err, irq.ErrStillConnected) || len(p.InUse) != 2 {
		t.Errorf("held exclusively: %v", err)
	}
	t.Log(err)
	f.Close()
	p, err = bind.Bind(t.Context(), disk, bind.Options{})
	must(t, p, err)
	p, err = bind.Unbind(t.Context(), disk, bind.Options{})
	must(t, p, err)
	if got := guest.Driver(disk); got != "nvme" {
		t.Errorf("given back to %q", got)
	}
}

// Two functions of one group: one alone is refused while the other has a driver, together they go.
func TestVMBindGroup(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "8139cp")
	one, other := guest.Device(t, "group0"), guest.Device(t, "group1")
	guest.Eventually(t, "8139cp has it", func() bool { return guest.Driver(other) == "8139cp" })
	p, err := bind.Bind(t.Context(), one, bind.Options{})
	if !errors.Is(err, irq.ErrStillConnected) || p.InUse[0].Kind != bind.UseGroup {
		t.Errorf("alone: %v", err)
	}
	t.Log(err)
	p, err = bind.Bind(t.Context(), one, bind.Options{Group: true})
	must(t, p, err)
	f, err := os.OpenFile("/dev/vfio/"+guest.Group(one), os.O_RDWR, 0)
	if err != nil {
		t.Errorf("the group cannot be opened: %v", err)
	}
	f.Close()
	p, err = bind.Unbind(t.Context(), one, bind.Options{Group: true})
	must(t, p, err)
	if got := guest.Driver(one) + "," + guest.Driver(other); got != ",8139cp" {
		t.Errorf("given back to %q", got)
	}
}

// A driver whose probe fails: everything is as before. virtio-pci refuses what has no id of virtio's.
func TestVMFailedProbeIsPutBack(t *testing.T) {
	guest.Require(t)
	guest.Load(t, "virtio_pci")
	edu := guest.Device(t, "edu1")
	p, err := bind.Bind(t.Context(), edu, bind.Options{Driver: "virtio-pci"})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Do(t.Context())
	if !errors.Is(err, syscall.ENODEV) {
		t.Errorf("got %v", err)
	}
	t.Log(err)
	override, _ := os.ReadFile(guest.Sysfs(edu, "driver_override"))
	if guest.Driver(edu) != "" || strings.TrimSpace(string(override)) != "(null)" {
		t.Errorf("not put back: driver %q, override %q", guest.Driver(edu), override)
	}
	if _, err := os.Stat("/run/ivt/bind/" + edu + ".json"); err == nil {
		t.Error("the record stays")
	}
}

// Without rights nothing is touched, and the error says what is missing.
func TestVMBindUnprivileged(t *testing.T) {
	guest.Require(t)
	if os.Getuid() == 0 {
		edu := guest.Device(t, "edu1") // asks the harness, which is for root
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVMBindUnprivileged$", "-test.v")
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		c.Dir, c.Env = "/", append(os.Environ(), "IVT_EDU="+edu)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("as nobody: %v\n%s", err, out)
		}
		return
	}
	p, err := bind.Bind(t.Context(), os.Getenv("IVT_EDU"), bind.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Do(t.Context()); !errors.Is(err, irq.ErrAccessDenied) {
		t.Errorf("got %v", err)
	}
}
