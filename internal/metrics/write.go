package metrics

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/internal/version"
)

// Write writes what the collectors have, and the version, in Prometheus' text format, as node_exporter reads it from its
// textfile directory. Prometheus' library would do it, too, but every start of a program that it is linked into takes a third
// longer; a test of package scrape holds that both write the same.
func Write(w io.Writer, collectors ...Collector) error {
	families := map[*Desc][]Sample{}
	for _, c := range append(collectors, Build{}) {
		c.Collect(func(s Sample) { families[s.Desc] = append(families[s.Desc], s) })
	}
	out := bufio.NewWriter(w)
	for _, d := range slices.SortedFunc(maps.Keys(families), func(a, b *Desc) int { return cmp.Compare(a.Name, b.Name) }) {
		if err := d.write(out, families[d]); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Build collects the version of this program.
type Build struct{}

// Descs implements Collector.
func (Build) Descs() []*Desc { return []*Desc{buildDesc} }

// Collect implements Collector.
func (Build) Collect(emit func(Sample)) { gauge(emit, buildDesc, 1, version.String()) }

// write writes the samples of one metric, in the order of their labels, and those by name.
func (d *Desc) write(out *bufio.Writer, samples []Sample) error {
	labels := make([]int, len(d.Labels))
	for i := range labels {
		labels[i] = i
	}
	slices.SortFunc(labels, func(i, j int) int { return cmp.Compare(d.Labels[i], d.Labels[j]) })
	compare := func(a, b Sample) int {
		for _, i := range labels {
			if c := cmp.Compare(a.Values[i], b.Values[i]); c != 0 {
				return c
			}
		}
		return 0
	}
	slices.SortFunc(samples, compare)
	fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", d.Name, d.Help, d.Name, samples[0].kind())
	for i, s := range samples {
		if i > 0 && compare(samples[i-1], s) == 0 {
			return fmt.Errorf("metrics: %s is there twice with %q", d.Name, s.Values)
		}
		s.write(out, labels)
	}
	return nil
}

func (s Sample) kind() string {
	if s.Counter {
		return "counter"
	}
	return "gauge"
}

func (s Sample) write(out *bufio.Writer, labels []int) {
	out.WriteString(s.Name)
	before := "{"
	for _, i := range labels {
		out.WriteString(before + s.Labels[i] + `="`)
		escape.WriteString(out, s.Values[i])
		before = `",`
	}
	if len(labels) > 0 {
		out.WriteString(`"}`)
	}
	out.WriteByte(' ')
	out.Write(strconv.AppendFloat(out.AvailableBuffer(), s.Value, 'g', -1, 64))
	out.WriteByte('\n')
}

var escape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
