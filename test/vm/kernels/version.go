package kernels

import (
	"regexp"
	"slices"
	"strconv"
)

var digits = regexp.MustCompile(`\d+`)

// newer compares kernel releases by their numbers in turn, which orders
// Debian's: 6.12.107+deb13 is newer than 6.12.95+deb12.1.
func newer(a, b string) bool { return slices.Compare(numbers(a), numbers(b)) > 0 }

func numbers(s string) (n []int) {
	for _, d := range digits.FindAllString(s, -1) {
		i, _ := strconv.Atoi(d)
		n = append(n, i)
	}
	return n
}

// newest picks the newest release of a series from package names: for "6.1"
// and linux-image-6.1.0-50-amd64 it is "6.1.0-50". Other flavours (cloud, rt)
// do not count.
func newest(packages []string, series string) string {
	want := regexp.MustCompile(`^linux-image-(` + regexp.QuoteMeta(series) + `\.[0-9][0-9.]*([-+][0-9a-z.]+)?)-amd64$`)
	best := ""
	for _, p := range packages {
		if m := want.FindStringSubmatch(p); m != nil && (best == "" || newer(m[1], best)) {
			best = m[1]
		}
	}
	return best
}
