package bind

import (
	"path/filepath"
	"slices"
	"strings"
)

// consoles are the ports and screens of a function that the kernel's console uses (proc_consoles(5)).
func (m *machine) consoles(d Device, nodes []node) []Use {
	var consoles []string
	for line := range strings.Lines(m.text("/proc/consoles")) {
		if f := strings.Fields(line); len(f) > 0 {
			consoles = append(consoles, f[0])
		}
	}
	onScreen := slices.ContainsFunc(consoles, isVirtualTerminal)
	var uses []Use
	for _, n := range nodes {
		switch {
		case n.class == "tty" && slices.Contains(consoles, n.name):
			uses = append(uses, Use{Kind: UseConsole, What: n.name + " is the kernel's console"})
		case n.class == "graphics" && onScreen && strings.HasPrefix(n.name, "fb"):
			uses = append(uses, Use{Kind: UseConsole, What: n.name + " is the screen of the text console"})
		case n.class == "virtio" && m.link(n.path+"/driver") == "virtio_console" &&
			slices.ContainsFunc(consoles, func(c string) bool { return strings.HasPrefix(c, "hvc") }):
			uses = append(uses, Use{Kind: UseConsole, What: "the kernel's console hvc is on it"})
		}
	}
	if m.text(deviceDir(d.Address)+"/boot_vga") == "1" && onScreen && len(uses) == 0 && d.Driver != "" && !isVFIO(d.Driver) {
		uses = append(uses, Use{Kind: UseConsole, What: "it is the screen that the machine booted on"})
	}
	return uses
}

func isVirtualTerminal(name string) bool {
	return strings.HasPrefix(name, "tty") && len(name) > 3 && name[3] >= '0' && name[3] <= '9'
}

// inputs are the keyboards and mice that hang on a function, as on a USB controller.
func (m *machine) inputs(nodes []node) []Use {
	var uses []Use
	for _, n := range nodes {
		if n.class != "input" || !strings.HasPrefix(n.name, "input") {
			continue
		}
		name := m.text(n.path + "/name")
		switch handlers := m.handlers(n.name); {
		case slices.Contains(handlers, "kbd"):
			uses = append(uses, Use{Kind: UseInput, What: "the keyboard " + quoteName(name) + " is on it"})
		case slices.ContainsFunc(handlers, func(h string) bool { return strings.HasPrefix(h, "mouse") }):
			uses = append(uses, Use{Kind: UseInput, What: "the pointer " + quoteName(name) + " is on it"})
		}
	}
	return uses
}

// handlers reads who listens to an input device from /proc/bus/input/devices (drivers/input/input.c).
func (m *machine) handlers(name string) []string {
	for block := range strings.SplitSeq(m.text("/proc/bus/input/devices"), "\n\n") {
		var handlers []string
		ours := false
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line)
			if path, ok := strings.CutPrefix(line, "S: Sysfs="); ok {
				ours = filepath.Base(path) == name
			}
			if list, ok := strings.CutPrefix(line, "H: Handlers="); ok {
				handlers = strings.Fields(list)
			}
		}
		if ours {
			return handlers
		}
	}
	return nil
}

func quoteName(name string) string {
	if name == "" {
		return "without name"
	}
	return `"` + name + `"`
}
