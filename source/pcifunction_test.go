//go:build linux

package source

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ivtd/ivt/irq"
)

// A fakeSys is a tree of /sys and /dev, for what machines say that the VMs of the tests do not.
type fakeSys struct {
	t    *testing.T
	root string
}

func newFakeSys(t *testing.T) fakeSys { return fakeSys{t, t.TempDir()} }

func (s fakeSys) file(path, text string) {
	s.t.Helper()
	path = filepath.Join(s.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		s.t.Fatal(err)
	}
}

func (s fakeSys) link(path, to string) {
	s.t.Helper()
	path = filepath.Join(s.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(to, path)); err != nil {
		s.t.Fatal(err)
	}
}

// function adds a PCI function with a driver and a group; "" for none.
func (s fakeSys) function(address, driver, group string) {
	dir := "sys/bus/pci/devices/" + address
	s.file(dir+"/vendor", "0x8086\n")
	s.file(dir+"/device", "0x10d3\n")
	s.file(dir+"/class", "0x020000\n")
	if driver != "" {
		s.link(dir+"/driver", "../../drivers/"+driver)
	}
	if group != "" {
		s.link(dir+"/iommu_group", "../../../../kernel/iommu_groups/"+group)
		s.file("sys/kernel/iommu_groups/"+group+"/devices/"+address, "")
	}
}

func TestPCIFunctionsAreRead(t *testing.T) {
	s := newFakeSys(t)
	s.function("0000:3b:00.0", "vfio-pci", "12")
	s.function("10000:e1:00.1", "", "")
	s.file("sys/bus/pci/devices/notes", "no function\n")
	all, err := pciFunctions(s.root)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	f := all[0]
	if f.address != "0000:3b:00.0" || f.driver != "vfio-pci" || f.group != "12" || f.attrs["vendor"] != "8086" || f.attrs["class"] != "020000" || f.note() != "" {
		t.Errorf("read %+v", f)
	}
	if all[1].note() != "it has no driver; VFIO must have it" {
		t.Errorf("%+v: %s", all[1], all[1].note())
	}
	if none, err := pciFunctions(t.TempDir()); none != nil || err != nil {
		t.Errorf("without PCI: %v, %v", none, err)
	}
}

// Each way in which a function cannot be had has its own code, and says what to do.
func TestPCIRefusals(t *testing.T) {
	const address = "0000:3b:00.0"
	for _, test := range []struct {
		name     string
		prepare  func(fakeSys)
		settings map[string]any
		code     irq.Code
		says     string // in the detail
		remedy   string
	}{
		{"no such function", func(fakeSys) {}, nil, irq.ErrNoSuchDevice, "no such PCI function", "lspci"},
		{"the module is missing", func(s fakeSys) { s.function(address, "", "12") }, nil, irq.ErrNotSupported, "not loaded", "modprobe vfio-pci"},
		{"no driver", func(s fakeSys) { s.function(address, "", "12"); s.file("sys/bus/pci/drivers/vfio-pci/bind", "") }, nil,
			irq.ErrNoSuchDevice, "no driver", "ivt bind " + address + " vfio-pci"},
		{"the kernel's driver has it", func(s fakeSys) { s.function(address, "e1000e", "12"); s.file("sys/bus/pci/drivers/vfio-pci/bind", "") }, nil,
			irq.ErrAlreadyConnected, "kernel's driver", "ivt bind"},
		{"no IOMMU", func(s fakeSys) { s.function(address, "vfio-pci", "") }, nil, irq.ErrNotSupported, "no IOMMU group", "intel_iommu=on"},
		{"no IOMMU, so that vfio-pci does not take it", func(s fakeSys) { s.function(address, "", ""); s.file("sys/bus/pci/drivers/vfio-pci/bind", "") }, nil,
			irq.ErrNotSupported, "no IOMMU group", "intel_iommu=on"},
		{"no IOMMU, and the policy does not accept that", func(s fakeSys) { s.function(address, "vfio-pci", "0"); s.file("dev/vfio/noiommu-0", "") }, nil,
			irq.ErrAccessDenied, "write all memory", "unsafe_noiommu = true"},
		{"no character device where the policy wants one", func(s fakeSys) { s.function(address, "vfio-pci", "12") }, map[string]any{"open": "cdev"},
			irq.ErrNotSupported, "Linux 6.6", "group"},
		{"no file of the group", func(s fakeSys) { s.function(address, "vfio-pci", "12") }, nil, irq.ErrNoSuchDevice, "dev/vfio/12 is not there", "modprobe"},
	} {
		t.Run(test.name, func(t *testing.T) {
			leakFree(t)
			s := newFakeSys(t)
			test.prepare(s)
			_, err := Lookup("pci").Open(t.Context(), Config{Name: "pci:" + address, Root: s.root, Settings: test.settings})
			var e *irq.Error
			if !errors.As(err, &e) || e.Code != test.code || !strings.Contains(e.Detail, test.says) || !strings.Contains(strings.Join(e.Remedies, "\n"), test.remedy) {
				t.Errorf("got %v, remedies %q", err, e.Remedies)
			}
			if test.code == irq.ErrAlreadyConnected && (len(e.Conflicts) != 1 || e.Conflicts[0].Holders[0].Driver != "e1000e") {
				t.Errorf("conflicts %+v", e.Conflicts)
			}
		})
	}
}

// What open(2) says is explained; EBUSY never has an empty list of holders.
func TestOpenRefusals(t *testing.T) {
	f := pciFunction{address: "0000:3b:00.0", group: "12"}
	nobody := func(string) []irq.Holder { return nil }
	somebody := func(string) []irq.Holder { return []irq.Holder{{Kind: irq.HolderProcess, PID: 4711}} }
	for _, test := range []struct {
		errno   syscall.Errno
		foreign func(string) []irq.Holder
		code    irq.Code
		holder  irq.HolderKind
	}{
		{syscall.EBUSY, somebody, irq.ErrAlreadyConnected, irq.HolderProcess},
		{syscall.EBUSY, nobody, irq.ErrAlreadyConnected, irq.HolderUnknown},
		{syscall.EACCES, nobody, irq.ErrAccessDenied, ""},
		{syscall.EPERM, nobody, irq.ErrAccessDenied, ""},
		{syscall.ENOENT, nobody, irq.ErrNoSuchDevice, ""},
		{syscall.ENODEV, nobody, irq.ErrNotConnected, ""},
	} {
		err := f.openRefusal("/dev/vfio/12", test.errno, test.foreign)
		var e *irq.Error
		if !errors.As(err, &e) || e.Code != test.code || !errors.Is(err, test.errno) || e.Detail == "" {
			t.Errorf("%v: got %v", test.errno, err)
			continue
		}
		if test.holder != "" && (len(e.Conflicts) != 1 || len(e.Conflicts[0].Holders) != 1 || e.Conflicts[0].Holders[0].Kind != test.holder) {
			t.Errorf("%v: conflicts %+v", test.errno, e.Conflicts)
		}
	}
	if err := f.openRefusal("/dev/vfio/12", syscall.EIO, nobody); !errors.Is(err, syscall.EIO) || errors.As(err, new(*irq.Error)) {
		t.Errorf("what nobody expects stays what it is: %v", err)
	}
}

func TestNotViableNamesTheFunctions(t *testing.T) {
	s := newFakeSys(t)
	s.function("0000:3b:00.0", "vfio-pci", "12")
	s.function("0000:3b:00.1", "e1000e", "12")
	s.function("0000:3b:00.2", "", "12")
	s.function("0000:3a:00.0", "pcieport", "12")
	f, err := readFunction(s.root, "0000:3b:00.0")
	if err != nil {
		t.Fatal(err)
	}
	var e *irq.Error
	if err := f.notViable(s.root); !errors.As(err, &e) || e.Code != irq.ErrAlreadyConnected || !strings.Contains(e.Detail, "0000:3b:00.1 (e1000e)") ||
		len(e.Conflicts[0].Holders) != 1 || e.Remedies[0] != "ivt bind 0000:3b:00.1 vfio-pci" {
		t.Errorf("got %v", e)
	}
}

// Who has a file open is found without anybody's help.
func TestOpenersAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if found := openersOf(path); found != nil {
		t.Errorf("this process is no foreigner: %v", found)
	}
	process := exec.Command("sleep", "1000")
	process.ExtraFiles = []*os.File{f}
	if err := process.Start(); err != nil {
		t.Skip("no sleep; try: apt-get install coreutils")
	}
	defer process.Wait()
	defer process.Process.Kill()
	found := openersOf(path)
	if len(found) != 1 || found[0].PID != process.Process.Pid || found[0].Command != "sleep" || found[0].UID == nil {
		t.Errorf("found %+v", found)
	}
}
