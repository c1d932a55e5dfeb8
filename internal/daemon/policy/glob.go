package policy

import (
	"fmt"
	"strings"
)

// A Glob is a pattern in which * stands for any run of characters, slashes too, and ? for one character.
type Glob string

// Match reports whether all of s fits. It takes at most len(g)·len(s) steps.
func (g Glob) Match(s string) bool {
	p, star, mark := 0, -1, 0
	for i := 0; i < len(s); {
		switch {
		case p < len(g) && g[p] == '*':
			star, mark = p, i
			p++
		case p < len(g) && (g[p] == '?' || g[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(string(g[p:]), "*") == ""
}

// check refuses what could never fit anything: an empty pattern and characters that no name has.
func (g Glob) check() error {
	if g == "" {
		return fmt.Errorf("the pattern is empty")
	}
	for _, r := range g {
		if r < '!' || r == 0x7f || r > '~' {
			return fmt.Errorf("the pattern has %q, which no name has", r)
		}
	}
	return nil
}

func anyMatch(globs []Glob, s string) bool {
	for _, g := range globs {
		if g.Match(s) {
			return true
		}
	}
	return false
}
