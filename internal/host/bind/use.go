package bind

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/ivtd/ivt/irq"
)

// use adds everything that would lose this function.
func (p *Plan) use(ctx context.Context, d Device, o Options) error {
	m := p.machine
	nodes, err := m.below(d)
	if err != nil {
		return &irq.Error{Code: irq.ErrNoSuchDevice, Operation: p.Operation, Name: d.Address, Detail: "it cannot be looked at", Err: err}
	}
	p.InUse = append(p.InUse, m.networks(d, nodes)...)
	p.InUse = append(p.InUse, m.disks(nodes)...)
	p.InUse = append(p.InUse, m.consoles(d, nodes)...)
	p.InUse = append(p.InUse, m.inputs(nodes)...)
	open := m.processes(d, nodes)
	if len(open) > 0 && o.Force && isVFIO(d.Driver) {
		m.note("VFIO waits until the processes that have " + d.Address + " open let go of it: this may take until they end")
	}
	p.InUse = append(p.InUse, open...)
	p.InUse = append(p.InUse, m.virtualFunctions(d)...)
	if p.Operation == "bind" && isVFIO(o.Driver) && !o.Group {
		others, err := m.companions(p.Operation, d)
		if err != nil {
			return err
		}
		p.InUse = append(p.InUse, foreign(d, others, o)...)
	}
	return p.connected(ctx, d, o)
}

// connected asks ivtd.
func (p *Plan) connected(ctx context.Context, d Device, o Options) error {
	if o.Connected == nil {
		return nil
	}
	conflicts, err := o.Connected(ctx, d.Source())
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.machine.note("ivtd could not be asked who is connected: " + err.Error())
		return nil
	}
	for _, c := range conflicts {
		for _, h := range c.Holders {
			p.InUse = append(p.InUse, Use{Kind: UseConnected, What: fmt.Sprintf("%s is connected by %s", c.Vector, h),
				Cure: "ivt disconnect, or ivt revoke " + c.Vector.String()})
		}
	}
	return nil
}

// foreign are the functions of the group whose driver keeps VFIO from opening it.
func foreign(d Device, others []Device, o Options) []Use {
	var uses []Use
	for _, other := range others {
		if !viable(other.Driver) {
			uses = append(uses, Use{Kind: UseGroup,
				What: fmt.Sprintf("%s of the same IOMMU group (%s) has the driver %s, and VFIO opens only whole groups", other.Address, d.Group, other.Driver),
				Cure: fmt.Sprintf("to take the whole group: ivt bind --group %s %s", d.Address, o.Driver)})
		}
	}
	return uses
}

func (m *machine) virtualFunctions(d Device) []Use {
	n := m.text(deviceDir(d.Address) + "/sriov_numvfs")
	if n == "" || n == "0" {
		return nil
	}
	return []Use{{Kind: UseVirtual, What: "its " + n + " virtual functions are on", Cure: "echo 0 > " + deviceDir(d.Address) + "/sriov_numvfs"}}
}

// A node is something of a class that a function has: an interface, a disk, a port.
type node struct {
	class string // "net", "block", "tty", "input", …
	name  string // "eth0"
	path  string // in sysfs, below the root
	dev   string // "8:1", "" if it has no number
	file  string // "/dev/sda1", "" if it has none
}

// below finds everything of a class below a function, but not below other functions, as those behind a bridge.
func (m *machine) below(d Device) ([]node, error) {
	top, err := m.real(deviceDir(d.Address))
	if err != nil {
		return nil, err
	}
	var nodes []node
	err = filepath.WalkDir(m.path(top), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() || path == m.path(top) {
			return nil // what vanishes or may not be read is not there
		}
		name := strings.TrimPrefix(path, filepath.Clean(m.path("/")))
		name = "/" + strings.TrimPrefix(name, "/")
		class := m.link(name + "/subsystem")
		if class == "pci" {
			return fs.SkipDir
		}
		if class != "" {
			nodes = append(nodes, m.node(class, name))
		}
		return nil
	})
	return append(nodes, m.multipath(nodes)...), err
}

func (m *machine) node(class, path string) node {
	n := node{class: class, name: filepath.Base(path), path: path, dev: m.text(path + "/dev")}
	for line := range strings.Lines(m.text(path + "/uevent")) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME="); ok {
			n.file = "/dev/" + name
		}
	}
	return n
}

// multipath finds the disks of NVMe controllers that hang below a virtual subsystem (CONFIG_NVME_MULTIPATH), not below
// the function.
func (m *machine) multipath(nodes []node) []node {
	var heads []node
	for _, n := range nodes {
		if n.class != "nvme" {
			continue
		}
		for _, subsystem := range m.names("/sys/class/nvme-subsystem") {
			dir := "/sys/class/nvme-subsystem/" + subsystem
			if !m.exists(dir + "/" + n.name) {
				continue
			}
			for _, disk := range m.names(dir) {
				if m.link(dir+"/"+disk+"/subsystem") != "block" || !strings.HasPrefix(disk, "nvme") {
					continue
				}
				heads = append(heads, m.node("block", dir+"/"+disk))
				for _, part := range m.names(dir + "/" + disk) {
					if m.exists(dir + "/" + disk + "/" + part + "/partition") {
						heads = append(heads, m.node("block", dir+"/"+disk+"/"+part))
					}
				}
			}
		}
	}
	return heads
}
