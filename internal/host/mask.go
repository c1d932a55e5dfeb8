package host

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A mask replaces the names of interfaces that are made of their hardware address (enx001122334455, systemd.net-naming-scheme(7)),
// wherever they stand, by enx and a number.
type mask struct{ known map[string]string }

var addressName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\b(?:en|wl|ww|sl|ib)x[0-9a-f]{12}\b|\b(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b`)
})

func newMask(files map[string]*savedNode) *mask {
	m := &mask{map[string]string{}}
	found := map[string]bool{}
	for name, n := range files {
		for _, s := range addressName().FindAllString(name+" "+n.link, -1) {
			found[s] = true
		}
		for _, s := range addressName().FindAll(n.data, -1) {
			found[string(s)] = true
		}
	}
	all := make([]string, 0, len(found))
	for s := range found {
		all = append(all, s)
	}
	slices.Sort(all)
	for i, s := range all {
		prefix := s[:3]
		if strings.Contains(s, ":") {
			prefix = "hidden"
		}
		m.known[s] = prefix + strconv.Itoa(i)
	}
	return m
}

func (m *mask) text(s string) string { return string(m.bytes([]byte(s))) }

func (m *mask) bytes(b []byte) []byte {
	if len(m.known) == 0 {
		return b
	}
	return addressName().ReplaceAllFunc(bytes.Clone(b), func(s []byte) []byte { return []byte(m.known[string(s)]) })
}
