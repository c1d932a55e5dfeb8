package page

import (
	"bytes"
	"encoding/json"
	"math"
	"time"

	"github.com/ivtd/ivt/internal/picture"
)

// A frame is what changed since the one before: all of it in the first.
type frame struct {
	Taken   time.Time         `json:"taken"`
	Full    bool              `json:"full,omitempty"`
	Columns []int             `json:"columns,omitempty"` // CPU numbers
	Nodes   map[int][]int     `json:"nodes,omitempty"`   // CPUs of each NUMA node
	Kernel  string            `json:"kernel,omitempty"`
	Daemon  any               `json:"ivtd"`
	Rows    []json.RawMessage `json:"rows"`
	Gone    []string          `json:"gone,omitempty"`
	Blind   any               `json:"blind,omitempty"`
}

// row is picture.Row as the page wants it: rates rounded, so that a still machine sends nothing, those of CPUs sparse.
type row struct {
	picture.Row
	Rate   *float64     `json:"rate,omitempty"`
	PerCPU [][2]float64 `json:"perCPU,omitempty"` // column, rate
	Counts [][2]uint64  `json:"counts,omitempty"` // column, count; where there are no rates
	Who    string       `json:"who,omitempty"`
	Total  *uint64      `json:"total,omitempty"`
}

// frames makes frames from pictures.
type frames struct {
	apart time.Duration
	base  [2]*picture.Picture // the last two that stood apart: rates are against the older one
	known map[string][]byte
	all   *frame // for new viewers; nil before the first picture
	text  []byte // of all, once somebody has wanted it
}

// full is the frame for a new viewer, nil before the first picture.
func (f *frames) full() []byte {
	if f.text == nil && f.all != nil {
		f.text, _ = json.Marshal(f.all) // its rows are JSON already, the rest was in the frames before it
	}
	return f.text
}

// next returns what changed, and keeps everything for those who come new.
func (f *frames) next(p *picture.Picture) ([]byte, error) {
	f.rates(p)
	delta := frame{Taken: p.Taken, Daemon: p.Daemon, Blind: p.Blind, Rows: []json.RawMessage{}}
	all := &frame{Taken: p.Taken, Full: true, Columns: p.Machine.Columns, Nodes: nodes(p), Kernel: p.Machine.Kernel, Daemon: p.Daemon, Blind: p.Blind,
		Rows: make([]json.RawMessage, 0, len(p.Rows))}
	now := make(map[string][]byte, len(p.Rows))
	for i := range p.Rows {
		text, err := json.Marshal(shorten(&p.Rows[i]))
		if err != nil {
			return nil, err
		}
		all.Rows = append(all.Rows, text)
		now[p.Rows[i].Name] = text
		if !bytes.Equal(f.known[p.Rows[i].Name], text) {
			delta.Rows = append(delta.Rows, text)
		}
	}
	for name := range f.known {
		if now[name] == nil {
			delta.Gone = append(delta.Gone, name)
		}
	}
	f.known, f.all, f.text = now, all, nil
	return json.Marshal(delta)
}

// rates fills them in where no Sampler has done so.
func (f *frames) rates(p *picture.Picture) {
	if p.CPUs != nil {
		return
	}
	if f.base[0] != nil {
		p.Rates(f.base[0])
	}
	if f.base[1] == nil || p.Taken.Sub(f.base[1].Taken) >= f.apart {
		f.base = [2]*picture.Picture{f.base[1], p}
	}
}

func shorten(r *picture.Row) row {
	s := row{Row: *r, Who: r.Who(), Total: r.Total}
	if r.Rate != nil {
		rate := round(*r.Rate)
		s.Rate = &rate
		if rate == 0 {
			s.Total = r.Total
		}
	}
	for i, rate := range r.PerCPU {
		if rate := round(rate); rate > 0 {
			s.PerCPU = append(s.PerCPU, [2]float64{float64(i), rate})
		}
	}
	for i, n := range r.Counts {
		if n > 0 && r.Rate == nil {
			s.Counts = append(s.Counts, [2]uint64{uint64(i), uint64(n)})
		}
	}
	for _, h := range r.Hits {
		if rate := round(h.Rate); rate > 0 {
			s.PerCPU = append(s.PerCPU, [2]float64{float64(h.Column), rate})
		}
	}
	return s
}

// round keeps two figures: more cannot be seen.
func round(x float64) float64 {
	if x < 0.05 || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-1)
	return math.Round(x/unit) * unit
}

func nodes(p *picture.Picture) map[int][]int {
	all := map[int][]int{}
	for _, n := range p.Machine.CPUs.Nodes {
		for cpu := range n.CPUs.All {
			all[n.Number] = append(all[n.Number], cpu)
		}
	}
	return all
}
