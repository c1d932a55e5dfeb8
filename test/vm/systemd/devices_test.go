package systemd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
	"github.com/ivtd/ivt/test/vm/kmod"
)

// permit gives devices to ivtd as deploy/60-ivtd.rules does: there is no udev in the VM.
func permit(t *testing.T) {
	t.Helper()
	addUser(t)
	for _, pattern := range []string{"/dev/vfio/[0-9]*", "/dev/vfio/devices/*", "/dev/iommu", "/dev/uio*", "/dev/gpiochip*", "/sys/class/uio/uio*/device/config"} {
		paths, _ := filepath.Glob(pattern)
		for _, p := range paths {
			if err := errors.Join(os.Chown(p, 0, ivtdUID), os.Chmod(p, 0o660)); err != nil {
				t.Error(err)
			}
		}
	}
}

// A vector of the device suite, with its hardware's side.
type wired struct {
	what, vector string
	raise, ack   func()
	options      []ivt.Option
	level        bool
	side         func() (raise, ack func()) // opened when ivtd has the device, which it resets
}

// TestDevicesUnderTheShippedUnit: the unit scores 1.0 at most, and every kind of device works in its sandbox: connect, 763 for the second,
// interrupts, kill -9 of the keeper, interrupts again, disconnect.
func TestDevicesUnderTheShippedUnit(t *testing.T) {
	on(t, "own")
	policy := doorbells + "[[allow]]\nvectors = [\"pci:*\", \"uio:*\", \"gpio:*\"]\nuser = \"root\"\nshare = true\naccess = \"device\"\n"
	all, devices := suite(t)
	permit(t)
	s := install(t, policy+devices)
	s.scores(1.0)
	s.status()
	if len(s.journal("confined by landlock")) == 0 {
		t.Error("the worker is not confined by landlock")
	}
	var held [][]*ivt.Connection
	for i, w := range all {
		connections := []*ivt.Connection{s.connect(w.vector, w.options...)}
		_, err := s.client.Connect(s.ctx(), w.vector)
		if !errors.Is(err, irq.ErrAlreadyConnected) {
			t.Errorf("%s: a second one is told %v", w.what, err)
		}
		if len(w.options) > 0 {
			connections = append(connections, s.connect(w.vector, w.options...))
		}
		held = append(held, connections)
		all[i].raise, all[i].ack = w.side()
		s.interrupts(all[i], connections)
	}
	s.kill(s.keeper(), syscall.SIGKILL)
	for i, w := range all {
		for _, c := range held[i] {
			s.settle(w, c)
		}
		s.interrupts(w, held[i])
		for _, c := range held[i] {
			if err := c.Disconnect(s.ctx()); err != nil {
				t.Errorf("%s: %v", w.what, err)
			}
		}
	}
	// Whoever had the whole device leaves no copy of it anywhere: not with the keeper, not with systemd.
	whole := s.connect(all[0].vector, ivt.Access(irq.AccessDevice))
	if err := whole.Disconnect(s.ctx()); err != nil {
		t.Error(err)
	}
	again := s.connect(all[0].vector)
	all[0].raise, all[0].ack = all[0].side() // it was reset
	s.interrupts(all[0], []*ivt.Connection{again})
	for _, line := range s.journal("level=ERROR") {
		t.Errorf("the journal says %s", line)
	}
}

// interrupts raises some, each when the former was served.
func (s *installed) interrupts(w wired, connections []*ivt.Connection) {
	s.Helper()
	for range 3 {
		w.raise()
		var came []ivt.Interrupt
		for _, c := range connections {
			i := s.wait(c)
			for i.Count == 0 {
				i = s.wait(c)
			}
			came = append(came, i)
		}
		w.ack()
		for n, c := range connections {
			if w.level {
				if err := c.Ack(came[n], true); err != nil {
					s.Fatalf("%s: %v", w.what, err)
				}
			}
		}
	}
}

// settle takes the ring that follows a restart (rule 9).
func (s *installed) settle(w wired, c *ivt.Connection) {
	s.Helper()
	i := s.wait(c)
	if w.level && i.Level {
		if err := c.Ack(i, true); err != nil {
			s.Fatalf("%s: %v", w.what, err)
		}
	}
}

// suite binds the emulated devices and says what they are for the policy.
func suite(t *testing.T) (all []wired, policy string) {
	device := func(id, driver, settings string) string {
		t.Helper()
		guest.Load(t, driver)
		address := guest.Device(t, id)
		guest.Bind(t, address, driver)
		name := "pci:" + address
		if driver == "uio_pci_generic" {
			found, _ := filepath.Glob(guest.Sysfs(address, "uio/uio*"))
			name = "uio:" + filepath.Base(found[0])
		}
		policy += fmt.Sprintf("[[device]]\nmatch = { name = %q }\n%s\n", name, settings)
		return address
	}
	edu := func(what, vector, address string, level bool, options ...ivt.Option) {
		all = append(all, wired{what: what, vector: vector, options: options, level: level, side: func() (raise, ack func()) {
			e := guest.OpenEdu(t, address)
			return func() { e.Raise(1) }, func() { e.Ack(1) }
		}})
	}
	a := device("edu0", "vfio-pci", "interrupts = \"msi\"")
	edu("MSI", "pci:"+a+"/msi/0", a, false)
	a = device("edu1", "vfio-pci", "interrupts = \"intx\"")
	edu("INTx", "pci:"+a+"/intx/0", a, true)
	a = device("edu2", "vfio-pci", "interrupts = \"intx\"")
	edu("INTx, shared", "pci:"+a+"/intx/0", a, true, ivt.Shared())
	a = device("hot0", "uio_pci_generic", "")
	found, _ := filepath.Glob(guest.Sysfs(a, "uio/uio*"))
	edu("UIO", "uio:"+filepath.Base(found[0])+"/0", a, true)

	first, second := guest.Device(t, "ivshmem0"), device("ivshmem1", "vfio-pci", "interrupts = \"msix\"")
	guest.Bind(t, first, "vfio-pci")
	for _, n := range []uint32{0, 3} {
		all = append(all, wired{what: "MSI-X of ivshmem", vector: fmt.Sprintf("pci:%s/msix/%d", second, n), side: func() (raise, ack func()) {
			from, to := guest.OpenIvshmem(t, first), guest.OpenIvshmem(t, second)
			return func() { from.Ring(to.Peer(), n) }, func() {}
		}})
	}
	if simulatesGPIO() {
		chip, high := guest.NewGPIOChip(t, guest.GPIOLine{}, guest.GPIOLine{}), false
		policy += fmt.Sprintf("[[device]]\nmatch = { name = %q }\n", "gpio:"+chip.Name)
		all = append(all, wired{what: "GPIO", vector: "gpio:" + chip.Name + "/1", options: []ivt.Option{ivt.Shared()}, side: func() (raise, ack func()) {
			return func() { high = !high; chip.Pull(t, 1, high) }, func() {}
		}})
	}
	return all, policy
}

// scores runs systemd-analyze security on the unit as it is installed.
func (s *installed) scores(limit float64) {
	s.Helper()
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=10", unitFolder+"ivtd.service").CombinedOutput()
	found := regexp.MustCompile(`exposure level for ivtd.service: ([0-9.]+)`).FindSubmatch(out)
	if err != nil || found == nil {
		s.Fatalf("systemd-analyze: %v: %s", err, out)
	}
	score, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil || score > limit {
		s.Errorf("the score is %s, %g is allowed:\n%s", found[1], limit, out)
	}
	s.Logf("exposure %s", found[1])
}

func simulatesGPIO() bool {
	_, err := os.Stat("/sys/bus/platform/drivers/gpio-sim")
	return err == nil || kmod.Load("gpio-sim") == nil
}

// TestHotPlugUnderTheShippedUnit: a device that is plugged in is root's until udev has given it to ivtd, which then takes it. Pulled, its
// holder is told.
func TestHotPlugUnderTheShippedUnit(t *testing.T) {
	on(t, "own")
	guest.Load(t, "vfio-pci")
	address := guest.Device(t, "hot1")
	s := install(t, doorbells+fmt.Sprintf("[[device]]\nmatch = { name = \"pci:%s\" }\n[[allow]]\nvectors = [\"pci:*\"]\nuser = \"root\"\n", address))
	vector := "pci:" + address + "/msi/0"
	if _, err := s.client.Connect(s.ctx(), vector); !errors.Is(err, irq.ErrNoSuchDevice) {
		t.Fatalf("before it is there: %v", err)
	}
	guest.Bind(t, address, "vfio-pci")
	guest.Eventually(t, "ivtd was denied the device", func() bool { return len(s.journal("it is tried again")) > 0 })
	permit(t)
	var c *ivt.Connection
	guest.Eventually(t, "ivtd takes it", func() (ok bool) {
		var err error
		c, err = s.client.Connect(s.ctx(), vector)
		return err == nil
	})
	edu := guest.OpenEdu(t, address)
	edu.Raise(1)
	s.wait(c)
	edu.Ack(1)
	guest.Unplug(t, "hot1")
	<-c.Done()
	if err := c.Err(); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("its holder was told %v", err)
	}
	guest.Gone(t, "hot1")
}

// TestWhoHasTheDevice: another user's process that has a device open is named where the administrator lets ivtd see it (deploy/name-holders.conf);
// otherwise ivtd says that it may not.
func TestWhoHasTheDevice(t *testing.T) {
	on(t, "6.1")
	guest.Load(t, "vfio-pci")
	address := guest.Device(t, "edu1")
	guest.Bind(t, address, "vfio-pci")
	permit(t)
	group, err := os.OpenFile("/dev/vfio/"+guest.Group(address), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	s := install(t, doorbells+fmt.Sprintf("[[device]]\nmatch = { name = \"pci:%s\" }\n", address))
	said := func() string {
		s.status()
		lines := s.journal("pci:" + address)
		return lines[len(lines)-1]
	}
	me := fmt.Sprintf("pid %d", os.Getpid())
	without := said()
	text, err := os.ReadFile("name-holders.conf")
	if err != nil {
		t.Fatal(err)
	}
	write(t, unitFolder+"ivtd.service.d/name-holders.conf", string(text))
	guest.Systemctl(t, "daemon-reload")
	guest.Systemctl(t, "restart", "ivtd.service")
	with := said()
	t.Logf("without: %s\nwith: %s", without, with)
	if strings.Contains(without, me) || !strings.Contains(with, me) {
		t.Errorf("it is %s", me)
	}
}
