package bind

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A volume is a block device of a function, or one that stands on it: a partition, a logical volume, an array.
type volume struct {
	node
	over []string // what it stands on, the disk first
}

// name says what people call it, and what it stands on.
func (v *volume) label(m *machine) string {
	name := "/dev/" + v.name
	if mapped := m.text(v.path + "/dm/name"); mapped != "" {
		name = "/dev/mapper/" + mapped
	}
	if len(v.over) > 0 {
		name += " (on " + strings.Join(v.over, ", ") + ")"
	}
	return name
}

// disks are the uses of a function's block devices: mounts and swap on them or on what stands on them, and whatever else
// the kernel holds them for.
func (m *machine) disks(nodes []node) []Use {
	volumes := m.volumes(nodes)
	if len(volumes) == 0 {
		return nil
	}
	var uses []Use
	mounts := m.mounts()
	for _, v := range volumes {
		for _, at := range m.mountedAt(v, mounts) {
			uses = append(uses, Use{Kind: UseMount, What: v.label(m) + " is mounted on " + at, Cure: umount(at)})
		}
		if path := m.swap(v.name); path != "" {
			uses = append(uses, Use{Kind: UseSwap, What: v.label(m) + " is swap", Cure: "swapoff " + path})
		}
	}
	if len(uses) > 0 {
		return uses
	}
	for _, v := range volumes {
		holders := m.names(v.path + "/holders")
		if len(holders) > 0 {
			uses = append(uses, Use{Kind: UseBlock, What: v.label(m) + " is part of " + strings.Join(holders, ", ")})
		} else if m.claimed(v) {
			uses = append(uses, Use{Kind: UseBlock, What: v.label(m) + " is held by the kernel for something else, such as ZFS or a RAID"})
		}
	}
	return uses
}

// umount is the command, where one would help.
func umount(at string) string {
	if at == "/" || !strings.HasPrefix(at, "/") {
		return ""
	}
	if strings.ContainsAny(at, " \t\n\\'\"$`;&|<>*?()[]{}~#!") {
		at = "'" + strings.ReplaceAll(at, "'", `'\''`) + "'"
	}
	return "umount " + at
}

// volumes follows holders upwards from the disks and partitions.
func (m *machine) volumes(nodes []node) []volume {
	var all []volume
	seen := map[string]bool{}
	var queue []volume
	for _, n := range nodes {
		if n.class == "block" {
			queue = append(queue, volume{node: n})
		}
	}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		if seen[v.name] {
			continue
		}
		seen[v.name] = true
		all = append(all, v)
		over := append(slices.Clone(v.over), v.name)
		for _, holder := range m.names(v.path + "/holders") {
			path := "/sys/class/block/" + holder
			queue = append(queue, volume{m.node("block", path), over})
			for _, part := range m.names(path) {
				if m.exists(path + "/" + part + "/partition") {
					queue = append(queue, volume{m.node("block", path+"/"+part), append(slices.Clone(over), holder)})
				}
			}
		}
	}
	return all
}

// A mount is a line of mountinfo, proc_pid_mountinfo(5).
type mount struct{ dev, point, source string }

// mounts are those of every mount namespace that can be seen, each namespace once.
func (m *machine) mounts() []mount {
	all := m.mountinfo("/proc/self/mountinfo")
	seen := map[string]bool{m.link("/proc/self/ns/mnt"): true}
	for _, pid := range m.names("/proc") {
		if pid[0] < '1' || pid[0] > '9' {
			continue
		}
		if ns := m.link("/proc/" + pid + "/ns/mnt"); ns != "" && !seen[ns] {
			seen[ns] = true
			all = append(all, m.mountinfo("/proc/"+pid+"/mountinfo")...)
		}
	}
	return all
}

func (m *machine) mountinfo(name string) []mount {
	var all []mount
	for line := range strings.Lines(m.text(name)) {
		f := strings.Fields(line)
		dash := slices.Index(f, "-")
		if len(f) < 5 || dash < 0 || dash+2 >= len(f) {
			continue
		}
		all = append(all, mount{dev: f[2], point: unescape.Replace(f[4]), source: unescape.Replace(f[dash+2])})
	}
	return all
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// mountedAt lists where a volume is mounted, by its number; btrfs has a number of its own and tells by name and in sysfs.
func (m *machine) mountedAt(v volume, mounts []mount) []string {
	var at []string
	for _, one := range mounts {
		if (v.dev != "" && one.dev == v.dev || m.blockName(one.source) == v.name) && !slices.Contains(at, one.point) {
			at = append(at, one.point)
		}
	}
	if len(at) > 0 {
		return at
	}
	for _, id := range m.names("/sys/fs/btrfs") {
		if m.exists("/sys/fs/btrfs/" + id + "/devices/" + v.name) {
			at = append(at, "btrfs "+id)
		}
	}
	return at
}

// blockName returns the kernel's name of a path in /dev: "dm-1" for "/dev/mapper/vg-root".
func (m *machine) blockName(path string) string {
	if !strings.HasPrefix(path, "/dev/") {
		return ""
	}
	if real, err := m.real(path); err == nil {
		return filepath.Base(real)
	}
	return filepath.Base(path)
}

// swap returns the path by which a volume is swapped to, "" if it is not.
func (m *machine) swap(name string) string {
	for line := range strings.Lines(m.text("/proc/swaps")) {
		f := strings.Fields(line)
		if len(f) > 1 && f[1] == "partition" && m.blockName(unescape.Replace(f[0])) == name {
			return f[0]
		}
	}
	return ""
}

// claimed asks the kernel whether somebody holds the block device exclusively: opening it with O_EXCL is refused then
// (open(2)). Only this machine can be asked.
func (m *machine) claimed(v volume) bool {
	if !m.live() || v.file == "" {
		return false
	}
	f, err := os.OpenFile(v.file, os.O_RDONLY|syscall.O_EXCL|syscall.O_NONBLOCK, 0)
	if err == nil {
		f.Close()
	}
	return errors.Is(err, syscall.EBUSY)
}
