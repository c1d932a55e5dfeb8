package metrics

import (
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
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
