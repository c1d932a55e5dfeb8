package picture

import (
	"slices"
	"time"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/interrupts"
)

// A scan is one reading of /proc/interrupts, as little as rates need: of the interrupts with numbers their counts.
// Its memory is used again. The file of a large machine has a million counts, and nearly all of them are zero: an
// interrupt fires where it is sent. So only the others are kept, which a processor's cache holds.
type scan struct {
	taken   time.Time
	cpus    []int
	numbers []int
	texts   []string // chip and handlers: what changes when an interrupt comes, goes or changes hands
	totals  []uint64
	counts  []count // those that are not zero, row after row
	ends    []int   // where the counts of each row end
	whole   []bool  // the row had a count for each CPU
}

// A count is how often a row fired on the CPU of a column.
type count struct {
	column int
	n      uint32
}

// read fills s, and reports whether the file tells of the same interrupts as before.
func (s *scan) read(root *host.Root, before *scan) (same bool, err error) {
	f, err := root.FS().Open("proc/interrupts")
	if err != nil {
		return false, err
	}
	defer f.Close()
	s.taken = time.Now()
	sc, err := interrupts.NewScanner(f)
	if err != nil {
		return false, err
	}
	same = slices.Equal(sc.CPUs(), before.cpus)
	s.cpus, s.numbers, s.texts, s.totals, s.counts, s.whole = sc.CPUs(), s.numbers[:0], s.texts[:0], s.totals[:0], s.counts[:0], s.whole[:0]
	s.ends = s.ends[:0]
	for sc.Next() {
		if row := sc.Row(); row.Number >= 0 {
			same = s.add(row, before) && same
		}
	}
	return same && len(s.numbers) == len(before.numbers), sc.Err()
}

func (s *scan) add(row *interrupts.RawRow, before *scan) (same bool) {
	i := len(s.numbers)
	same = i < len(before.numbers) && before.numbers[i] == row.Number && before.texts[i] == string(row.Text)
	text := ""
	if same {
		text = before.texts[i]
	} else {
		text = string(row.Text)
	}
	s.numbers, s.texts, s.totals = append(s.numbers, row.Number), append(s.texts, text), append(s.totals, row.Total)
	s.whole = append(s.whole, row.Counts != nil)
	if row.Total > 0 {
		s.keep(row.Counts)
	}
	s.ends = append(s.ends, len(s.counts))
	return same
}

func (s *scan) keep(counts []uint32) {
	for c, n := range counts {
		if n != 0 {
			s.counts = append(s.counts, count{c, n})
		}
	}
}

func (s *scan) of(i int) []count {
	start := 0
	if i > 0 {
		start = s.ends[i-1]
	}
	return s.counts[start:s.ends[i]]
}

// find returns where an interrupt is, -1 if nowhere. It looks where it should be first.
func (s *scan) find(number, guess int) int {
	if guess < len(s.numbers) && s.numbers[guess] == number {
		return guess
	}
	return slices.Index(s.numbers, number)
}

// sameIRQ reports whether row i of s is the interrupt that was row j of before: the handlers may have changed.
func (s *scan) sameIRQ(i int, before *scan, j int) bool {
	if s.texts[i] == before.texts[j] {
		return true
	}
	a, b := interrupts.ParseText(s.texts[i]), interrupts.ParseText(before.texts[j])
	return a.Chip == b.Chip && a.HWIRQ == b.HWIRQ
}

// fastest is the most interrupts a second that one CPU is believed to take from one row; see package host.
const fastest = 4e6

// rates of the interrupts of now since before, which have the same CPUs. Counts wrap at 2³², each CPU's by itself.
type rates struct {
	seconds float64
	rate    []float64 // of each row of the scan; negative: not known
	hits    [][]Hit
	cpus    []float64 // of each column
}

func (s *scan) since(before *scan) (r rates, ok bool) {
	r.seconds = s.taken.Sub(before.taken).Seconds()
	if r.seconds <= 0 || !slices.Equal(s.cpus, before.cpus) {
		return r, false
	}
	r.rate, r.hits, r.cpus = make([]float64, len(s.numbers)), make([][]Hit, len(s.numbers)), make([]float64, len(s.cpus))
	arena := make([]Hit, 0, 2*len(s.numbers))
	for i, number := range s.numbers {
		j := before.find(number, i)
		if j < 0 || !s.whole[i] || !before.whole[j] || !s.sameIRQ(i, before, j) {
			r.rate[i] = -1
			continue
		}
		start := len(arena)
		arena, r.rate[i] = r.row(arena, before.of(j), s.of(i))
		r.hits[i] = arena[start:len(arena):len(arena)]
		for _, h := range r.hits[i] {
			r.cpus[h.Column] += h.Rate
		}
	}
	return r, true
}

// row appends the CPUs on which a row fired. A count that fell without a wrap began anew: nothing is known then.
func (r *rates) row(arena []Hit, before, now []count) ([]Hit, float64) {
	start, sum := len(arena), uint64(0)
	for len(before) > 0 || len(now) > 0 {
		column, x, y := first(&before, &now)
		delta := y - x // modulo 2³²
		if y < x && (x < 1<<31 || float64(delta) > fastest*r.seconds) {
			return arena[:start], -1
		}
		if delta > 0 {
			sum += uint64(delta)
			arena = append(arena, Hit{column, float64(delta) / r.seconds})
		}
	}
	return arena, float64(sum) / r.seconds
}

// first takes the lowest column out of two lists, with what each has there.
func first(before, now *[]count) (column int, x, y uint32) {
	b, n := *before, *now
	switch {
	case len(n) == 0:
		column = b[0].column
	case len(b) == 0:
		column = n[0].column
	default:
		column = min(b[0].column, n[0].column)
	}
	if len(b) > 0 && b[0].column == column {
		x, *before = b[0].n, b[1:]
	}
	if len(n) > 0 && n[0].column == column {
		y, *now = n[0].n, n[1:]
	}
	return column, x, y
}
