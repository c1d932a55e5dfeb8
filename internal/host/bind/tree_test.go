package bind

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A tree is a copy of a machine's proc and sys that files are really written to, with a kernel that follows
// driver_override, bind, unbind and drivers_probe as drivers/base/bus.c and drivers/pci/pci-driver.c do.
type tree struct {
	t      testing.TB
	root   string
	native map[string]string // address → driver that the kernel chooses
	taken  []Step            // in order
	fail   int               // this step fails, from 1
	broken map[string]bool   // drivers whose probe fails
}

func newTree(t testing.TB) *tree {
	tr := &tree{t: t, root: t.TempDir(), native: map[string]string{}, broken: map[string]bool{}}
	tr.file("/sys/bus/pci/drivers_probe", "")
	for _, d := range []string{"vfio-pci", "e1000e", "nvme", "pcieport", "snd_hda_intel"} {
		tr.driver(d)
	}
	tr.file("/proc/sys/kernel/osrelease", "6.1.0-50-amd64\n")
	tr.file("/proc/self/mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n")
	return tr
}

func (tr *tree) file(name, text string) {
	tr.t.Helper()
	path := filepath.Join(tr.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tr.t.Fatal(err)
	}
}

// link makes a relative link, as sysfs has them.
func (tr *tree) link(name, target string) {
	tr.t.Helper()
	path := filepath.Join(tr.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	relative, err := filepath.Rel(filepath.Dir(path), filepath.Join(tr.root, target))
	if err != nil {
		tr.t.Fatal(err)
	}
	os.Remove(path)
	if err := os.Symlink(relative, path); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) dir(name string) {
	if err := os.MkdirAll(filepath.Join(tr.root, name), 0o755); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) driver(name string) {
	for _, f := range []string{"bind", "unbind"} {
		tr.file("/sys/bus/pci/drivers/"+name+"/"+f, "")
	}
}

// device adds a function with the driver that the kernel chooses for it; group "" is none.
func (tr *tree) device(address, class, driver, group string) {
	dir := "/sys/devices/pci0000:00/" + address
	for name, text := range map[string]string{"class": class, "vendor": "0x8086", "device": "0x10d3", "driver_override": "(null)"} {
		tr.file(dir+"/"+name, text+"\n")
	}
	tr.link(dir+"/subsystem", "/sys/bus/pci")
	tr.link(deviceDir(address), dir)
	if group != "" {
		tr.link(dir+"/iommu_group", "/sys/kernel/iommu_groups/"+group)
		tr.link("/sys/kernel/iommu_groups/"+group+"/devices/"+address, dir)
	}
	tr.native[address] = driver
	if driver != "" {
		tr.bound(address, driver)
	}
}

// class adds something of a class below a function: path "net/eth0", number "" or "8:1".
func (tr *tree) class(address, path, class, number, devname string) string {
	dir := "/sys/devices/pci0000:00/" + address + "/" + path
	name := filepath.Base(path)
	tr.dir(dir)
	tr.link(dir+"/subsystem", "/sys/class/"+class)
	tr.link("/sys/class/"+class+"/"+name, dir)
	if number != "" {
		tr.file(dir+"/dev", number+"\n")
		tr.file(dir+"/uevent", "MAJOR=1\nDEVNAME="+devname+"\n")
	}
	return dir
}

func (tr *tree) bound(address, driver string) {
	tr.link("/sys/devices/pci0000:00/"+address+"/driver", driverDir(driver))
	tr.link(driverDir(driver)+"/"+address, "/sys/devices/pci0000:00/"+address)
}

var errSimulated = errors.New("simulated failure")

// take writes the file and then does what the kernel would.
func (tr *tree) take(m *machine) func(Step) error {
	return func(s Step) error {
		tr.taken = append(tr.taken, s)
		if len(tr.taken) == tr.fail {
			return errSimulated
		}
		if _, err := os.Stat(filepath.Join(tr.root, s.Path)); err != nil && s.Kind == Attribute {
			return fs.ErrNotExist
		}
		if err := tr.kernel(m, s); err != nil {
			return err
		}
		return m.apply(s)
	}
}

func (tr *tree) kernel(m *machine, s Step) error {
	address, driver := strings.TrimSpace(s.Value), filepath.Base(filepath.Dir(s.Path))
	if s.Kind != Attribute {
		return nil
	}
	switch name := filepath.Base(s.Path); name {
	case "unbind":
		now := m.link(deviceDir(address) + "/driver")
		if now == "" || driver != "driver" && now != driver {
			return syscall.ENODEV
		}
		// The path may be that of the device's own link to the driver: it must not be written after.
		os.Remove(filepath.Join(tr.root, driverDir(now), address))
		os.Remove(filepath.Join(tr.root, deviceDir(address), "driver"))
		if driver == "driver" {
			tr.file(driverDir(now)+"/unbind", s.Value)
			return m.apply(Step{Path: driverDir(now) + "/unbind", Value: s.Value, Kind: Attribute})
		}
	case "bind", "drivers_probe":
		override := m.text(deviceDir(address) + "/driver_override")
		if override == "(null)" || override == "" {
			override = tr.native[address]
		}
		if name == "drivers_probe" {
			driver = override
		}
		switch {
		case m.link(deviceDir(address)+"/driver") != "":
			return syscall.EBUSY
		case driver == "":
			return nil
		case override != driver:
			return syscall.ENODEV
		case tr.broken[driver]:
			return syscall.EINVAL
		}
		tr.bound(address, driver)
	}
	return nil
}

// do carries a plan out on the tree.
func (tr *tree) do(p *Plan) error {
	tr.taken = nil
	p.machine.take = tr.take(p.machine)
	return p.Do(tr.t.Context())
}

// state is everything that matters of the tree: which driver, which override, which files of ours.
func (tr *tree) state() map[string]string {
	state := map[string]string{}
	m := newMachine(tr.root)
	for address := range tr.native {
		override := m.text(deviceDir(address) + "/driver_override")
		if override == "" {
			override = "(null)"
		}
		state[address] = m.link(deviceDir(address)+"/driver") + " override " + override
	}
	for _, dir := range []string{"/run", "/etc"} {
		filepath.WalkDir(filepath.Join(tr.root, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				raw, _ := os.ReadFile(path)
				state[strings.TrimPrefix(path, tr.root)] = string(raw)
			}
			return nil
		})
	}
	return state
}

// absolute makes a link as it is, such as those of /proc/PID/fd.
func (tr *tree) absolute(name, target string) {
	path := filepath.Join(tr.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		tr.t.Fatal(err)
	}
}
