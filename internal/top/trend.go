package top

import (
	"strconv"

	"github.com/ivtd/ivt/internal/picture"
)

// trends are the latest rates of what fired lately, by name. What did not is not in it.
type trends struct {
	named map[string]*trend
	turn  int
}

type trend struct {
	rates []float32
	idle  int // how many of the latest are 0
	turn  int
}

// longest is how many pictures a trend goes back.
const longest = 60

func (t *trends) of(name string) []float32 {
	if one := t.named[name]; one != nil {
		return one.rates
	}
	return nil
}

// record takes the rates of a picture.
func (t *trends) record(p *picture.Picture) {
	if t.named == nil {
		t.named = map[string]*trend{}
	}
	t.turn++
	for i := range p.Rows {
		if r := p.Rows[i].Rate; r != nil {
			t.add(p.Rows[i].Name, *r)
		}
	}
	for _, c := range p.CPUs {
		if c.Rate > 0 {
			t.add("CPU "+strconv.Itoa(c.Number), c.Rate)
		}
	}
	for name, one := range t.named {
		if one.turn != t.turn {
			one.add(0, t.turn)
		}
		if one.idle >= longest {
			delete(t.named, name)
		}
	}
}

func (t *trends) add(name string, rate float64) {
	one := t.named[name]
	switch {
	case one == nil && rate == 0:
		return
	case one == nil:
		one = &trend{}
		t.named[name] = one
	}
	one.add(rate, t.turn)
}

func (o *trend) add(rate float64, turn int) {
	o.turn = turn
	o.idle++
	if rate > 0 {
		o.idle = 0
	}
	from := max(0, len(o.rates)-longest+1)
	o.rates = append(append(make([]float32, 0, longest), o.rates[from:]...), float32(rate))
}

var bars = []rune("▁▂▃▄▅▆▇█")

// spark draws the latest rates in n columns, the highest of them as the full height.
func spark(rates []float32, n int) string {
	n = max(0, n)
	rates = rates[max(0, len(rates)-n):]
	highest := float32(0)
	for _, r := range rates {
		highest = max(highest, r)
	}
	if highest == 0 {
		return ""
	}
	text := make([]rune, 0, n)
	for range n - len(rates) {
		text = append(text, ' ')
	}
	for _, r := range rates {
		text = append(text, bar(float64(r/highest)))
	}
	return string(text)
}

// bar is a share of 1 as a bar; any that is not 0 can be told from 0.
func bar(share float64) rune {
	if share <= 0 {
		return bars[0]
	}
	return bars[max(1, min(len(bars)-1, int(share*float64(len(bars)-1)+0.5)))]
}
