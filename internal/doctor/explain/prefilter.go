package explain

import (
	"slices"
	"sync"
)

// A prefilter says which messages a line may be, in one pass over its bytes (Aho and Corasick's automaton as
// a table; letters without case). Nearly all lines of a log are none, and cost no regular expression.
type prefilter struct {
	class  [256]uint8 // byte → column of the table; 0 for bytes in no literal
	next   []uint32   // state + column → state; a state is the offset of its row
	found  [][]uint16 // row → indexes of messages
	hit    []bool     // row → found has any; small, so that it stays in the cache
	always []uint16   // messages without literal
	width  int        // columns in use, at most stride
}

// stride is the length of a row: a power of two, enough for the letters without case, digits and signs of the catalogue.
const stride = 64

// maxLiteral keeps the table small; a longer literal would hardly tell more.
const maxLiteral = 12

var messageFilter = sync.OnceValue(func() *prefilter {
	sets := make([][]string, len(Messages()))
	for i, m := range Messages() {
		sets[i] = literals(m.Pattern)
	}
	return newPrefilter(sets)
})

// newPrefilter builds the automaton; sets[i] are the literals of message i, of which the first maxLiteral bytes are used.
func newPrefilter(sets [][]string) *prefilter {
	p := &prefilter{width: 1}
	p.addState()
	for i, set := range sets {
		if len(set) == 0 {
			p.always = append(p.always, uint16(i))
		}
		for _, literal := range set {
			p.insert(literal[:min(len(literal), maxLiteral)], uint16(i))
		}
	}
	for c := byte('A'); c <= 'Z'; c++ {
		p.class[c] = p.class[lower(c)]
	}
	p.link()
	p.hit = make([]bool, len(p.found))
	for row, found := range p.found {
		p.hit[row] = found != nil
	}
	return p
}

func (p *prefilter) addState() uint32 {
	p.next = append(p.next, make([]uint32, stride)...)
	p.found = append(p.found, nil)
	return uint32(len(p.next) - stride)
}

// column gives a byte of a literal its column. Beyond the last one bytes share column 0, where nothing is found:
// such a literal would be missed, and a test counts the columns.
func (p *prefilter) column(c byte) uint32 {
	c = lower(c)
	if p.class[c] == 0 && p.width < stride {
		p.class[c] = uint8(p.width)
		p.width++
	}
	return uint32(p.class[c])
}

func (p *prefilter) insert(literal string, message uint16) {
	state := uint32(0)
	for i := range len(literal) {
		at := state + p.column(literal[i])
		if p.next[at] == 0 {
			added := p.addState()
			p.next[at] = added
		}
		state = p.next[at]
	}
	if row := state / stride; !slices.Contains(p.found[row], message) {
		p.found[row] = append(p.found[row], message)
	}
}

// link turns the tree into the automaton: breadth first, each missing step is that of the longest proper suffix.
func (p *prefilter) link() {
	fail := make([]uint32, len(p.found))
	var queue []uint32
	for c := range uint32(stride) {
		if s := p.next[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		p.found[s/stride] = append(p.found[s/stride], p.found[fail[s/stride]/stride]...)
		for c := range uint32(stride) {
			through := p.next[fail[s/stride]+c]
			if child := p.next[s+c]; child != 0 {
				fail[child/stride] = through
				queue = append(queue, child)
			} else {
				p.next[s+c] = through
			}
		}
	}
}

// candidates appends the indexes of the messages that the text may be, ascending, each once.
func (p *prefilter) candidates(text []byte, into []uint16) []uint16 {
	state, before := uint32(0), len(into)
	for _, b := range text {
		state = p.next[state+uint32(p.class[b])]
		if p.hit[state/stride] {
			into = append(into, p.found[state/stride]...)
		}
	}
	if len(into) == before && len(p.always) == 0 {
		return into
	}
	into = append(into, p.always...)
	slices.Sort(into[before:])
	return into[:before+len(slices.Compact(into[before:]))]
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
