package explain

import "regexp/syntax"

// literals returns strings of which at least one is in every text that the pattern matches, in any case: what a
// prefilter may look for before it runs the pattern. nil if there is no such set.
func literals(pattern string) []string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	return required(re.Simplify())
}

// required is literals of one node. A concatenation needs the best of its parts, an alternation all its branches.
func required(re *syntax.Regexp) []string {
	if set := exact(re); set != nil {
		return set
	}
	switch re.Op {
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		return bestPart(re.Sub)
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			set := required(sub)
			if set == nil {
				return nil
			}
			all = append(all, set...)
		}
		return all
	}
	return nil
}

// bestPart joins neighbours that match fixed strings only, and returns the set whose shortest string is longest.
func bestPart(parts []*syntax.Regexp) (best []string) {
	better := func(set []string) {
		if shortest(set) > shortest(best) {
			best = set
		}
	}
	run := []string{""}
	for _, part := range parts {
		if joined := product(run, exact(part)); joined != nil {
			run = joined
			continue
		}
		better(run)
		run = []string{""}
		better(required(part))
	}
	better(run)
	return best
}

// exact returns all the strings that a node matches, if they are few and fixed; nil otherwise.
func exact(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{string(re.Rune)}
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpBeginText, syntax.OpEndText:
		return []string{""}
	case syntax.OpCapture:
		return exact(re.Sub[0])
	case syntax.OpQuest:
		return union([][]string{{""}, exact(re.Sub[0])})
	case syntax.OpConcat:
		all := []string{""}
		for _, sub := range re.Sub {
			if all = product(all, exact(sub)); all == nil {
				return nil
			}
		}
		return all
	case syntax.OpAlternate:
		sets := make([][]string, len(re.Sub))
		for i, sub := range re.Sub {
			sets[i] = exact(sub)
		}
		return union(sets)
	}
	return nil
}

// few bounds how many strings stand for one node.
const few = 32

func product(a, b []string) (all []string) {
	if b == nil || len(a)*len(b) > few {
		return nil
	}
	for _, x := range a {
		for _, y := range b {
			all = append(all, x+y)
		}
	}
	return all
}

func union(sets [][]string) (all []string) {
	for _, set := range sets {
		if set == nil {
			return nil
		}
		all = append(all, set...)
	}
	if len(all) > few {
		return nil
	}
	return all
}

func shortest(set []string) int {
	least := 0
	for i, s := range set {
		if i == 0 || len(s) < least {
			least = len(s)
		}
	}
	return least
}
