package bind

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ivtd/ivt/irq"
)

const nic, disk = "0000:00:06.0", "0000:00:07.0"

// steps writes a plan's steps as the shell would.
func steps(p *Plan) []string {
	var lines []string
	for _, s := range p.Steps {
		lines = append(lines, s.Command())
	}
	return lines
}

func TestBindWritesWhatItSays(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "e1000e", "4")
	p, err := Bind(t.Context(), "00:06.0", Options{Root: tr.root})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"write /run/ivt/bind/0000:00:06.0.json",
		`echo "0000:00:06.0" > /sys/bus/pci/drivers/e1000e/unbind`,
		`echo "vfio-pci" > /sys/bus/pci/devices/0000:00:06.0/driver_override`,
		`echo "0000:00:06.0" > /sys/bus/pci/drivers/vfio-pci/bind`}
	if diff := cmp.Diff(want, steps(p)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	before := tr.state()
	if before[nic] != "e1000e override (null)" {
		t.Fatalf("planning changed the machine: %v", before)
	}
	if err := tr.do(p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Steps, tr.taken); diff != "" {
		t.Errorf("what was written is not the plan:\n%s", diff)
	}
	if got := tr.state()[nic]; got != "vfio-pci override vfio-pci" {
		t.Errorf("after: %s", got)
	}
	// And back, with what was kept.
	p, err = Unbind(t.Context(), nic, Options{Root: tr.root})
	if err != nil {
		t.Fatal(err)
	}
	if p.Driver != "e1000e" {
		t.Errorf("unbind gives it to %q", p.Driver)
	}
	if err := tr.do(p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, tr.state()); diff != "" {
		t.Errorf("bind and unbind leave something:\n%s", diff)
	}
}

// A step that fails, whichever it is, leaves the machine as it was; bind and unbind, with and without persistence, from a
// driver and from none.
func TestEveryFailurePutsEverythingBack(t *testing.T) {
	for _, persist := range []bool{false, true} {
		for _, driver := range []string{"e1000e", ""} {
			tr := newTree(t)
			tr.device(nic, "0x020000", driver, "4")
			o := Options{Root: tr.root, Persist: persist}
			tr.failEach(func() (*Plan, error) { return Bind(t.Context(), nic, o) })
			tr.failEach(func() (*Plan, error) { return Unbind(t.Context(), nic, o) })
		}
	}
}

// failEach lets each step of a plan fail in turn, then none.
func (tr *tree) failEach(plan func() (*Plan, error)) {
	tr.t.Helper()
	for tr.fail = 1; ; tr.fail++ {
		p, err := plan()
		if err != nil {
			tr.t.Fatal(err)
		}
		before := tr.state()
		err = tr.do(p)
		if tr.fail > len(p.Steps) {
			if err != nil {
				tr.t.Errorf("%s: %v", p.Operation, err)
			}
			tr.fail = 0
			return
		}
		if !errors.Is(err, errSimulated) {
			tr.t.Errorf("%s, step %d: %v", p.Operation, tr.fail, err)
		}
		if diff := cmp.Diff(before, tr.state()); diff != "" {
			tr.t.Errorf("%s, step %d (%s): not put back:\n%s", p.Operation, tr.fail, p.Steps[tr.fail-1].Command(), diff)
		}
	}
}

// A driver that does not want the function gives it back to the one that had it.
func TestDriverThatRefuses(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "e1000e", "4")
	tr.broken["vfio-pci"] = true
	p, err := Bind(t.Context(), nic, Options{Root: tr.root})
	if err != nil {
		t.Fatal(err)
	}
	before := tr.state()
	err = tr.do(p)
	if !errors.Is(err, syscall.EINVAL) || !errors.Is(err, irq.ErrNotSupported) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, tr.state()); diff != "" {
		t.Errorf("not put back:\n%s", diff)
	}
}

// If even putting back fails, the error says what to do by hand.
func TestWhatCannotBePutBackIsSaid(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "e1000e", "4")
	p, err := Bind(t.Context(), nic, Options{Root: tr.root})
	if err != nil {
		t.Fatal(err)
	}
	tr.broken["vfio-pci"], tr.broken["e1000e"] = true, true
	err = tr.do(p)
	if err == nil || !strings.Contains(err.Error(), `by hand: echo "0000:00:06.0" > /sys/bus/pci/drivers/e1000e/bind`) {
		t.Errorf("got %v", err)
	}
	if got := tr.state()[nic]; got != " override (null)" {
		t.Errorf("what could be put back was not: %s", got)
	}
}

// A plan that went well can be undone.
func TestUndo(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "e1000e", "4")
	before := tr.state()
	p, err := Bind(t.Context(), nic, Options{Root: tr.root, Persist: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.do(p); err != nil {
		t.Fatal(err)
	}
	if err := p.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, tr.state()); diff != "" {
		t.Errorf("not put back:\n%s", diff)
	}
}

func TestPersist(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "e1000e", "4")
	p, err := Bind(t.Context(), nic, Options{Root: tr.root, Persist: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.do(p); err != nil {
		t.Fatal(err)
	}
	want := `# Written by ivt bind --persist; ivt unbind --persist 0000:00:06.0 removes it.
ACTION=="add", SUBSYSTEM=="pci", KERNEL=="0000:00:06.0", ATTR{vendor}=="0x8086", ATTR{device}=="0x10d3", ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci", RUN+="/bin/sh -c 'test -e /sys/bus/pci/drivers/vfio-pci/0000:00:06.0 || { echo 0000:00:06.0 > /sys/bus/pci/devices/0000:00:06.0/driver/unbind; echo 0000:00:06.0 > /sys/bus/pci/drivers_probe; }'"
`
	if diff := cmp.Diff(want, tr.state()["/etc/udev/rules.d/70-ivt-0000:00:06.0.rules"]); diff != "" {
		t.Errorf("rule (-want +got):\n%s", diff)
	}
	// Unbind alone leaves the rule and says so; with Persist it goes.
	p, err = Unbind(t.Context(), nic, Options{Root: tr.root})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.do(p); err != nil {
		t.Fatal(err)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "next boot") || tr.state()["/etc/udev/rules.d/70-ivt-0000:00:06.0.rules"] == "" {
		t.Errorf("notes %v", p.Notes)
	}
	p, err = Unbind(t.Context(), nic, Options{Root: tr.root, Persist: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.do(p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{nic: "e1000e override (null)"}, tr.state()); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
}

// A disk that the initramfs mounted is not torn away at boot.
func TestPersistLeavesDisksThatHaveTheirDriver(t *testing.T) {
	for class, takes := range map[string]bool{"0x010802": false, "0x020000": true} {
		text := ruleText(Device{Address: disk, Vendor: "0x1b36", Product: "0x0010", Class: class}, "vfio-pci")
		if strings.Contains(text, "driver/unbind") != takes {
			t.Errorf("class %s: %s", class, text)
		}
	}
}

// A second bind keeps what was there before the first; another card in the same slot is not given the first one's driver.
func TestRecord(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "e1000e", "4")
	tr.driver("uio_pci_generic")
	for _, driver := range []string{"vfio-pci", "uio_pci_generic", "uio_pci_generic"} {
		p, err := Bind(t.Context(), nic, Options{Root: tr.root, Driver: driver})
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.do(p); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Unbind(t.Context(), nic, Options{Root: tr.root})
	if err != nil || p.Driver != "e1000e" {
		t.Errorf("gives it to %q, %v", p.Driver, err)
	}
	tr.file("/sys/devices/pci0000:00/"+nic+"/device", "0x1521\n")
	p, err = Unbind(t.Context(), nic, Options{Root: tr.root})
	if err != nil || p.Driver != "" || !strings.Contains(strings.Join(steps(p), "\n"), "drivers_probe") {
		t.Errorf("another card: %v, %v", steps(p), err)
	}
}

func TestUnbindOfWhatNobodyTook(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "e1000e", "4")
	p, err := Unbind(t.Context(), nic, Options{Root: tr.root})
	if !errors.Is(err, irq.ErrInvalidParameter) || p != nil {
		t.Errorf("got %v, %v", p, err)
	}
}

// What cannot be bound is refused with the cure.
func TestRefusals(t *testing.T) {
	intel := func(tr *tree) { tr.file("/proc/cpuinfo", "vendor_id\t: GenuineIntel\n") }
	for _, c := range []struct {
		name    string
		device  string
		o       Options
		prepare func(tr *tree)
		want    irq.Code
		says    string
		cure    string
	}{
		{name: "no address", device: "eth0", want: irq.ErrInvalidParameter, says: "no PCI address", cure: "0000:3b:00.0"},
		{name: "a path", device: "../../etc", want: irq.ErrInvalidParameter, says: "no PCI address"},
		{name: "not there", device: "0000:99:00.0", want: irq.ErrNoSuchDevice, says: "no PCI function", cure: "lspci"},
		{name: "a bridge", device: "0000:00:01.0", want: irq.ErrNotSupported, says: "bridge"},
		{name: "not loaded", device: nic, o: Options{Driver: "uio_pci_generic"}, want: irq.ErrNotSupported, says: "not loaded", cure: "modprobe uio_pci_generic",
			prepare: func(tr *tree) {
				tr.file("/lib/modules/6.1.0-50-amd64/modules.dep", "kernel/drivers/uio/uio_pci_generic.ko: kernel/drivers/uio/uio.ko\n")
			}},
		{name: "not built", device: nic, o: Options{Driver: "mlx5-vfio-pci"}, want: irq.ErrNotSupported, says: "kernel 6.1.0-50-amd64 has no driver mlx5-vfio-pci", cure: "CONFIG_VFIO_PCI",
			prepare: func(tr *tree) { tr.file("/lib/modules/6.1.0-50-amd64/modules.dep", "kernel/net/x.ko:\n") }},
		{name: "modules not there", device: nic, o: Options{Driver: "uio_pci_generic"}, want: irq.ErrNotSupported, says: "not there to look"},
		{name: "a driver with a path", device: nic, o: Options{Driver: "../../x"}, want: irq.ErrInvalidParameter, says: "no name of a driver"},
		{name: "no IOMMU, Intel", device: disk, prepare: intel, want: irq.ErrNotSupported, says: "no IOMMU group", cure: "intel_iommu=on"},
		{name: "no IOMMU, Intel asked for it", device: disk, want: irq.ErrNotSupported, says: "no IOMMU group", cure: "VT-d on in the firmware: the kernel was asked",
			prepare: func(tr *tree) { intel(tr); tr.file("/proc/cmdline", "quiet intel_iommu=on\n") }},
		{name: "no IOMMU, AMD", device: disk, want: irq.ErrNotSupported, says: "no IOMMU group", cure: "AMD-Vi",
			prepare: func(tr *tree) { tr.file("/proc/cpuinfo", "vendor_id\t: AuthenticAMD\nflags\t: hypervisor\n") }},
		{name: "no ids", device: nic, want: irq.ErrInvalidParameter, says: "no vendor",
			prepare: func(tr *tree) {
				tr.file("/sys/devices/pci0000:00/"+nic+"/vendor", "0x8086\", RUN+=\"/bin/evil\n")
			}},
	} {
		tr := newTree(t)
		tr.device(nic, "0x020000", "e1000e", "4")
		tr.device(disk, "0x010802", "nvme", "")
		tr.device("0000:00:01.0", "0x060400", "pcieport", "1")
		if c.prepare != nil {
			c.prepare(tr)
		}
		c.o.Root = tr.root
		p, err := Bind(t.Context(), c.device, c.o)
		var e *irq.Error
		if p != nil || !errors.Is(err, c.want) || !errors.As(err, &e) || !strings.Contains(e.Detail, c.says) ||
			!strings.Contains(strings.Join(e.Remedies, "\n"), c.cure) {
			t.Errorf("%s: %v, %v", c.name, p, err)
		}
	}
}

// Without IOMMU the unsafe mode is allowed, and noted.
func TestUnsafeNoIOMMU(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "e1000e", "")
	tr.file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n")
	p, err := Bind(t.Context(), nic, Options{Root: tr.root})
	if err != nil || !strings.Contains(strings.Join(p.Notes, "\n"), "no IOMMU") {
		t.Errorf("%v, %v", p, err)
	}
}

// The rest of the group is refused, or taken with Group; bridges of the group stay.
func TestGroup(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "e1000e", "4")
	tr.device("0000:00:06.1", "0x040300", "snd_hda_intel", "4")
	tr.device("0000:00:06.2", "0x0c0500", "", "4")
	tr.device("0000:00:01.0", "0x060400", "pcieport", "4")
	p, err := Bind(t.Context(), nic, Options{Root: tr.root})
	if !errors.Is(err, irq.ErrStillConnected) || len(p.InUse) != 1 || p.InUse[0].Kind != UseGroup || !strings.Contains(p.InUse[0].What, "0000:00:06.1") {
		t.Errorf("%+v, %v", p.InUse, err)
	}
	p, err = Bind(t.Context(), nic, Options{Root: tr.root, Group: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.do(p); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{nic: "vfio-pci override vfio-pci", "0000:00:06.1": "vfio-pci override vfio-pci",
		"0000:00:06.2": "vfio-pci override vfio-pci", "0000:00:01.0": "pcieport override (null)"}
	ignore := cmpopts.IgnoreMapEntries(func(k, _ string) bool { return strings.HasPrefix(k, "/") })
	if diff := cmp.Diff(want, tr.state(), ignore); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p, err = Unbind(t.Context(), nic, Options{Root: tr.root, Group: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.do(p); err != nil {
		t.Fatal(err)
	}
	want = map[string]string{nic: "e1000e override (null)", "0000:00:06.1": "snd_hda_intel override (null)",
		"0000:00:06.2": " override (null)", "0000:00:01.0": "pcieport override (null)"}
	if diff := cmp.Diff(want, tr.state()); diff != "" {
		t.Errorf("given back (-want +got):\n%s", diff)
	}
}

// Who is connected to ivtd is in the way, in words and as data.
func TestConnected(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "vfio-pci", "4")
	tr.file("/sys/devices/pci0000:00/"+nic+"/driver_override", "vfio-pci\n")
	asked := ""
	o := Options{Root: tr.root, Connected: func(_ context.Context, source string) ([]irq.Conflict, error) {
		asked = source
		return []irq.Conflict{{Vector: irq.Vector{Source: source, Type: "msix", Index: 2}, Reason: irq.ReasonHeld,
			Holders: []irq.Holder{{Kind: irq.HolderProcess, PID: 4711, Command: "nicd"}}}}, nil
	}}
	p, err := Unbind(t.Context(), nic, o)
	if !errors.Is(err, irq.ErrStillConnected) || asked != "pci:"+nic || !strings.Contains(err.Error(), "pid 4711 (nicd)") {
		t.Errorf("%v, %v", p, err)
	}
	if err := p.Do(t.Context()); !errors.Is(err, irq.ErrStillConnected) {
		t.Errorf("a refused plan was carried out: %v", err)
	}
	o.Force = true
	p, err = Unbind(t.Context(), nic, o)
	if err != nil || len(p.InUse) != 1 {
		t.Errorf("forced: %v, %v", p, err)
	}
	// No daemon is no obstacle.
	o = Options{Root: tr.root, Connected: func(context.Context, string) ([]irq.Conflict, error) { return nil, errors.New("no daemon") }}
	if p, err = Unbind(t.Context(), nic, o); err != nil || !strings.Contains(strings.Join(p.Notes, "\n"), "no daemon") {
		t.Errorf("without daemon: %v, %v", p, err)
	}
}
