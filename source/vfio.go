//go:build linux

package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

func init() { Register(vfioScheme{}) }

// vfioScheme makes sources of PCI functions that the kernel's vfio-pci has.
//
// Settings: interrupts (msix, msi, intx or auto: all that the function has, one type at a time), budget (the most
// vectors, and what a table that cannot grow is sized to; default the whole table, at most 64 of one that cannot
// grow), open (auto, group or cdev), unsafe_noiommu (true accepts a function without any IOMMU).
type vfioScheme struct{}

func (vfioScheme) Name() string { return "pci" }

// Discover lists every PCI function.
func (vfioScheme) Discover(context.Context) ([]Found, error) {
	all, err := pciFunctions("/")
	if err != nil {
		return nil, fmt.Errorf("list PCI functions: %w", err)
	}
	var found []Found
	for _, f := range all {
		found = append(found, Found{Name: "pci:" + f.address, Path: f.path, Attrs: f.attrs, Note: f.note()})
	}
	return found, nil
}

// note says in a few words why f could not be opened now.
func (f pciFunction) note() string {
	switch {
	case f.driver == "":
		return "it has no driver; VFIO must have it"
	case !f.isVFIO():
		return "the kernel's driver " + f.driver + " has it"
	case f.group == "":
		return "it is in no IOMMU group"
	}
	return ""
}

// vfioSettings are what the policy says of a function.
type vfioSettings struct {
	interrupts string
	budget     int
	open       string
	noIOMMU    bool
}

func readVFIOSettings(c Config) (vfioSettings, error) {
	s := c.read()
	v := vfioSettings{
		interrupts: s.word("interrupts", "auto", "msix", "msi", "intx"),
		budget:     s.int("budget", 0, 1, 4096),
		open:       s.word("open", "auto", wayGroup, wayCdev),
		noIOMMU:    s.bool("unsafe_noiommu", false),
	}
	return v, s.err()
}

// Check reads the settings.
func (vfioScheme) Check(c Config) error {
	_, err := readVFIOSettings(c)
	return err
}

// vfio is one PCI function. What changes is guarded by its group's lock.
type vfio struct {
	f        pciFunction
	config   Config
	settings vfioSettings
	spec     irq.SourceSpec
	group    *iommuGroup
	streams  *Streams
	lines    *irq.Source
	gone     chan struct{}
	goneOnce sync.Once

	device  int // -1 while closed
	port    irqPort
	info    map[string]kernel.VFIOIRQInfo // by type; only those with vectors
	mode    string                        // the type that is enabled, "" if none
	size    int                           // vectors of a table that cannot grow, while enabled
	wires   map[irq.Vector]*wire
	notices []*kernelNotice // REQ and ERR
}

// types are the interrupt types of PCI, the preferred one first.
var types = []struct {
	name  string
	index int
}{{"msix", kernel.VFIOMSIX}, {"msi", kernel.VFIOMSI}, {"intx", kernel.VFIOIntx}}

func indexOf(kind string) int {
	for _, t := range types {
		if t.name == kind {
			return t.index
		}
	}
	return -1
}

// Open takes a function, or takes over what a former process had of it.
func (vfioScheme) Open(ctx context.Context, c Config) (Source, error) {
	settings, err := readVFIOSettings(c)
	if err != nil {
		return nil, err
	}
	c = c.complete()
	f, way, err := findFunction(c, settings)
	if err != nil {
		return nil, err
	}
	s := &vfio{f: f, config: c, settings: settings, gone: make(chan struct{}), device: -1, wires: map[irq.Vector]*wire{}}
	if s.streams, err = NewStreams(c); err != nil {
		return nil, err
	}
	s.group = joinGroup(c.Root, f.group, way)
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// findFunction checks all that /sys can tell before anything is touched.
func findFunction(c Config, settings vfioSettings) (f pciFunction, way string, err error) {
	_, address, _ := strings.Cut(c.Name, ":")
	if f, err = readFunction(c.Root, address); err != nil {
		return f, "", noSuchFunction(c.Name, err)
	}
	if !f.isVFIO() {
		_, err := os.Stat(filepath.Join(c.Root, "sys/bus/pci/drivers/vfio-pci"))
		return f, "", f.driverRefusal(err == nil)
	}
	way, err = f.way(c.Root, settings)
	return f, way, err
}

// way chooses how f is opened. The group comes first: what a device holder gets is then the same on every kernel.
func (f pciFunction) way(root string, settings vfioSettings) (string, error) {
	exists := func(path ...string) bool {
		_, err := os.Stat(filepath.Join(append([]string{root, "dev"}, path...)...))
		return err == nil
	}
	cdev := f.cdev != "" && exists("vfio/devices", f.cdev) && exists("iommu")
	switch {
	case f.group == "":
		return "", f.noIOMMU()
	case exists("vfio/noiommu-" + f.group):
		if !settings.noIOMMU {
			return "", f.unsafeNotSaid()
		}
		return wayNoIOMMU, nil
	case settings.open == wayCdev && !cdev:
		return "", f.refusal(irq.ErrNotSupported, irq.ReasonNoSuchSource, "it has no character device of its own, which needs Linux 6.6 with CONFIG_VFIO_DEVICE_CDEV and iommufd",
			`open = "group"`, "modprobe iommufd")
	case settings.open != wayGroup && cdev && !exists("vfio", f.group), settings.open == wayCdev:
		return wayCdev, nil
	}
	return wayGroup, nil
}

// start opens the function, or adopts it, and describes it.
func (s *vfio) start(context.Context) (err error) {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	s.group.members = append(s.group.members, s)
	if !s.inherit() {
		if err := s.openDevice(); err != nil {
			return err
		}
	}
	if s.info, err = s.readInfo(); err != nil {
		return err
	}
	s.spec, err = s.describe()
	return err
}

// openDevice gets a descriptor of the function and listens to what the kernel wants of it.
func (s *vfio) openDevice() (err error) {
	if err := s.group.open(s.f, s.config.Foreign); err != nil {
		return err
	}
	if s.device, err = s.group.device(s.f, s.config.Foreign); err != nil {
		return err
	}
	s.port, s.mode, s.size = devicePort(s.device), "", 0
	if err := s.keepDevice(); err != nil {
		return err
	}
	return s.listen()
}

// readInfo asks which interrupts the function has. The flags are set even where there are none: the count decides.
func (s *vfio) readInfo() (map[string]kernel.VFIOIRQInfo, error) {
	info := map[string]kernel.VFIOIRQInfo{}
	for _, t := range types {
		i, err := s.port.Info(t.index)
		if err != nil {
			return nil, fmt.Errorf("interrupts of %s: %w", s.config.Name, err)
		}
		if i.Count > 0 {
			info[t.name] = i
		}
	}
	return info, nil
}

// describe says what the registry attaches.
func (s *vfio) describe() (irq.SourceSpec, error) {
	spec := irq.SourceSpec{Name: s.config.Name, Instance: s.config.Instance, OneType: true, Budget: s.settings.budget, Wiring: s, Protection: "kernel"}
	if s.group.way == wayNoIOMMU {
		spec.Protection = "permissions"
	}
	for _, t := range types {
		i, ok := s.info[t.name]
		if !ok || s.settings.interrupts != "auto" && s.settings.interrupts != t.name {
			continue
		}
		g := irq.Group{Type: t.name, Count: int(i.Count), Trigger: irq.TriggerEdge, Delivery: irq.DeliveryEventfd}
		if t.name == "intx" {
			g.Trigger, g.Shareable, g.Maskable = irq.TriggerLevel, true, true
		}
		spec.Groups = append(spec.Groups, g)
	}
	if spec.Groups == nil {
		return spec, s.noInterrupt()
	}
	return spec, nil
}

func (s *vfio) noInterrupt() error {
	if len(s.info) == 0 {
		return s.f.refusal(irq.ErrNotSupported, irq.ReasonNotEnoughVectors, "it has no interrupt: neither MSI-X nor MSI, and no pin for INTx", "lspci -vs "+s.f.address)
	}
	var has string
	for _, t := range types {
		if i, ok := s.info[t.name]; ok {
			has += fmt.Sprintf(" %s (%d)", t.name, i.Count)
		}
	}
	return s.f.refusal(irq.ErrNotSupported, irq.ReasonNotEnoughVectors, "it has no "+s.settings.interrupts+"; it has"+has, `interrupts = "auto"`)
}

func (s *vfio) Spec() irq.SourceSpec       { return s.spec }
func (s *vfio) Gone() <-chan struct{}      { return s.gone }
func (s *vfio) Attached(lines *irq.Source) { s.lines = lines }
func (s *vfio) leave()                     { s.goneOnce.Do(func() { close(s.gone) }) }

func (s *vfio) Doorbell(v irq.Vector, _ irq.Holder) (int, error) { return -1, noDoorbell(v) }

// Close lets the function go. What is left wired is taken down with it.
func (s *vfio) Close() error {
	g := s.group
	g.mu.Lock()
	s.closeDevice()
	g.without(s)
	last := len(g.members) == 0
	if last {
		g.close()
		g.dirty = false // who opens it again finds out
	}
	g.mu.Unlock()
	if last {
		g.stopTaking()
	}
	g.leave()
	s.streams.Close()
	return nil
}

// closeDevice takes everything down. The kernel resets the function when its last descriptor is closed.
func (s *vfio) closeDevice() {
	for _, n := range s.notices {
		n.close()
	}
	s.notices = nil
	for v, w := range s.wires {
		w.close(s.streams.relay)
		delete(s.wires, v)
	}
	if s.device < 0 {
		return
	}
	if s.mode != "" {
		s.reset()
		s.port.Disable(indexOf(s.mode)) // closing does both too, unless somebody has a copy
	}
	kernel.Close(s.device)
	s.device, s.mode = -1, ""
	s.forgetDevice()
}
