package metrics

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/ivtd/ivt/internal/version"
)

// Write writes what the collectors have in Prometheus' text format, as node_exporter reads it from its textfile directory.
func Write(w io.Writer, all ...prometheus.Collector) error {
	families, err := registry(all).Gather()
	if err != nil {
		return err
	}
	e := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// Handler serves what the collectors have, with those of the process, to Prometheus.
func Handler(all ...prometheus.Collector) http.Handler {
	r := registry(append(all, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})))
	return promhttp.HandlerFor(&sparing{next: r}, promhttp.HandlerOpts{MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError})
}

func registry(all []prometheus.Collector) *prometheus.Registry {
	r := prometheus.NewPedanticRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "ivt", Name: "build_info", Help: "Always 1; the version is a label.",
		ConstLabels: prometheus.Labels{"version": version.String()}})
	build.Set(1)
	r.MustRegister(build)
	r.MustRegister(all...)
	return r
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
