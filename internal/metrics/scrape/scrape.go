package scrape

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/ivtd/ivt/internal/metrics"
)

// Handler serves what the collectors have, with those of the process, to Prometheus.
func Handler(all ...metrics.Collector) http.Handler {
	r := registry(all)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(&sparing{next: r}, promhttp.HandlerOpts{MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError})
}

func registry(all []metrics.Collector) *prometheus.Registry {
	r := prometheus.NewPedanticRegistry()
	for _, c := range append(all, metrics.Build{}) {
		r.MustRegister(adopt(c))
	}
	return r
}

// adopted is one of our collectors as the library wants it.
type adopted struct {
	metrics.Collector
	descs map[*metrics.Desc]*prometheus.Desc
}

func adopt(c metrics.Collector) adopted {
	a := adopted{c, map[*metrics.Desc]*prometheus.Desc{}}
	for _, d := range c.Descs() {
		a.descs[d] = prometheus.NewDesc(d.Name, d.Help, d.Labels, nil)
	}
	return a
}

// Describe implements prometheus.Collector.
func (a adopted) Describe(c chan<- *prometheus.Desc) {
	for _, d := range a.descs {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (a adopted) Collect(c chan<- prometheus.Metric) {
	a.Collector.Collect(func(s metrics.Sample) {
		kind := prometheus.GaugeValue
		if s.Counter {
			kind = prometheus.CounterValue
		}
		c <- prometheus.MustNewConstMetric(a.descs[s.Desc], kind, s.Value, s.Values...)
	})
}

// sparing gathers once for all who ask at the same time, and gives the same again for ten times as long as it took: whoever asks
// and how often, it costs a tenth of a core.
type sparing struct {
	next prometheus.Gatherer

	mu    sync.Mutex
	last  []*dto.MetricFamily
	until time.Time
}

func (s *sparing) Gather() ([]*dto.MetricFamily, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	if began.Before(s.until) {
		return s.last, nil
	}
	families, err := s.next.Gather()
	if err == nil {
		now := time.Now()
		s.last, s.until = families, now.Add(10*now.Sub(began))
	}
	return families, err
}
