package top

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

// frames is how many a second are drawn at most, when keys are pressed.
const frames = 20

// Run shows the machine on the terminal until somebody quits, which is no error, or ctx ends. The terminal is then
// as it was. Interval is the time between two pictures.
func Run(ctx context.Context, f Feed, interval time.Duration) error {
	asking, stop := context.WithCancel(ctx)
	defer stop()
	m := newModel(asking, f, interval)
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithoutSignalHandler(), tea.WithFPS(frames)).Run()
	if ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled) {
		return ctx.Err()
	}
	return err
}

// once takes what one frame needs: two pictures of a live machine, an interval apart.
func once(ctx context.Context, f Feed, interval time.Duration) (*Model, error) {
	m := newModel(ctx, f, interval)
	p, err := f.Next(ctx)
	if err != nil {
		return nil, err
	}
	if f.Live() {
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if p, err = f.Next(ctx); err != nil {
			return nil, err
		}
	}
	m.see(pictureMsg{picture: p, began: time.Now()})
	return m, nil
}

// Once writes the columns of the live view as a table, and returns what could not be seen.
func Once(ctx context.Context, f Feed, interval time.Duration, o term.Output) ([]host.Blind, error) {
	m, err := once(ctx, f, interval)
	if err != nil {
		return nil, err
	}
	t := term.Table{}
	for _, c := range columns {
		t.Columns = append(t.Columns, term.Column{Head: c.head, Right: c.right, Min: c.min, Fixed: c.right})
	}
	for _, l := range m.lines {
		cells := make([]string, len(columns))
		for c := range columns {
			cells[c] = columns[c].cell(l)
		}
		cells[colTrend] = spark(l.trend, columns[colTrend].min)
		t.StyledRow(stateStyle(l.row), cells...)
	}
	return m.picture.Blind, t.Write(o)
}

// JSON writes the columns of the live view as one document, with the rate of each CPU.
func JSON(ctx context.Context, f Feed, interval time.Duration, w io.Writer) error {
	m, err := once(ctx, f, interval)
	if err != nil {
		return err
	}
	type cpu struct {
		CPU  int     `json:"cpu"`
		Node int     `json:"node"`
		Rate float64 `json:"rate"`
	}
	d := struct {
		Taken   time.Time  `json:"taken,omitzero"`
		Machine string     `json:"machine"`
		Kernel  string     `json:"kernel,omitempty"`
		Vectors []document `json:"vectors"`
		CPUs    []cpu      `json:"cpus"`
		Blind   any        `json:"blind,omitempty"`
	}{Taken: m.picture.Taken, Machine: f.Name(), Kernel: m.picture.Machine.Kernel, Vectors: []document{}, CPUs: []cpu{}}
	if len(m.picture.Blind) > 0 {
		d.Blind = m.picture.Blind
	}
	for _, l := range m.lines {
		d.Vectors = append(d.Vectors, documentOf(l.row, l))
	}
	for _, c := range m.picture.CPUs {
		d.CPUs = append(d.CPUs, cpu{c.Number, c.Node, c.Rate})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(d)
}

// CheckInterval refuses what is too short to mean anything.
func CheckInterval(d time.Duration) error {
	if d >= 100*time.Millisecond {
		return nil
	}
	return &irq.Error{Code: irq.ErrInvalidParameter, Operation: "show", Name: d.String(), Reason: irq.ReasonMalformed,
		Detail: "the interval is 100ms at least", Remedies: []string{"ivt top --interval 1s"}}
}
