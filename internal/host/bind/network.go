package bind

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const interfaceUp = 1 // IFF_UP, include/uapi/linux/if.h

// networks are the interfaces of a function that are up, and what they carry.
func (m *machine) networks(d Device, nodes []node) []Use {
	var uses []Use
	found := false
	for _, n := range nodes {
		if n.class != "net" {
			continue
		}
		found = true
		flags, _ := strconv.ParseUint(strings.TrimPrefix(m.text(n.path+"/flags"), "0x"), 16, 32)
		master := m.link(n.path + "/master")
		if flags&interfaceUp == 0 && master == "" {
			continue
		}
		what := n.name + " is up"
		if master != "" {
			what = n.name + " is part of " + master
		}
		if over := m.defaultRoute(n.name); over == n.name {
			what += " and carries the default route"
		} else if over != "" {
			what += " and carries the default route, by " + over
		}
		uses = append(uses, Use{Kind: UseNetwork, What: what, Cure: fmt.Sprintf("ip link set %s down", n.name)})
	}
	// sysfs shows the interfaces of one's own network namespace only.
	if !found && strings.HasPrefix(d.Class, "0x02") && d.Driver != "" && !viable(d.Driver) {
		m.note(d.Address + " is a network card without interface here: another network namespace may have it")
	}
	return uses
}

// defaultRoute returns the interface of the default route, if that is this one or stands on it: a bridge, bond, VLAN.
func (m *machine) defaultRoute(name string) string {
	routes := m.defaultRoutes()
	queue, seen := []string{name}, map[string]bool{}
	for len(queue) > 0 {
		name, queue = queue[0], queue[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		if slices.Contains(routes, name) {
			return name
		}
		for _, upper := range m.names("/sys/class/net/" + name) {
			if over, ok := strings.CutPrefix(upper, "upper_"); ok {
				queue = append(queue, over)
			}
		}
	}
	return ""
}

// defaultRoutes are the interfaces of the routes to everywhere, IPv4 and IPv6 (proc_net_route in net/ipv4/fib_trie.c,
// rt6_stats in net/ipv6/route.c).
func (m *machine) defaultRoutes() []string {
	var names []string
	for line := range strings.Lines(m.text("/proc/net/route")) {
		f := strings.Fields(line)
		if len(f) >= 8 && f[1] == "00000000" && f[7] == "00000000" {
			names = append(names, f[0])
		}
	}
	for line := range strings.Lines(m.text("/proc/net/ipv6_route")) {
		f := strings.Fields(line)
		if len(f) >= 10 && strings.Trim(f[0], "0") == "" && f[1] == "00" && f[9] != "lo" {
			names = append(names, f[9])
		}
	}
	return names
}
