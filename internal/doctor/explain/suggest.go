package explain

import (
	"sort"
	"strconv"
	"strings"
)

// Suggest returns up to three names or numbers that look like an unknown query, the nearest first.
func Suggest(query string) []string {
	query = strings.ToUpper(strings.TrimSpace(query))
	if query == "" || len(query) > 64 {
		return nil
	}
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	seen := map[string]bool{}
	add := func(shown, compared string) {
		d := distance(query, strings.ToUpper(compared))
		if limit := max(1, len(query)/3); d <= limit && !seen[shown] {
			seen[shown] = true
			near = append(near, candidate{shown, d})
		}
	}
	for _, c := range Codes() {
		for _, name := range c.names() {
			add(name, name)
			add(name, shortName(name))
		}
		if c.Kind == "win32" {
			add(strconv.FormatUint(uint64(c.Number), 10), strconv.FormatUint(uint64(c.Number), 10))
			add("0x"+strings.ToUpper(strconv.FormatUint(uint64(c.Number), 16)), "0x"+strconv.FormatUint(uint64(c.Number), 16))
		}
	}
	for _, m := range Messages() {
		add(m.ID, m.ID)
	}
	sort.SliceStable(near, func(i, j int) bool { return near[i].distance < near[j].distance })
	var names []string
	for _, c := range near[:min(3, len(near))] {
		names = append(names, c.name)
	}
	return names
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
