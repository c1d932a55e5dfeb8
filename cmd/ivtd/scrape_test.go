package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/metrics"
	"github.com/ivtd/ivt/internal/picture"
)

// prometheus runs the real one, which scrapes addresses five times a second, and returns its own address.
func prometheus(t *testing.T, targets ...string) (web string) {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no prometheus; try: apt-get install prometheus")
		}
		t.Skip("no prometheus; try: apt-get install prometheus")
	}
	web, dir := freePort(t), t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n- job_name: ivtd\n  static_configs: [{targets: ['%s']}]\n", strings.Join(targets, "', '"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := exec.Command(program, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+web, "--log.level=warn")
	var log strings.Builder
	p.Stderr = &log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Process.Kill()
		p.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return web
}

// soon waits until something is true, between looks doing what is given.
func soon(t *testing.T, is func() bool) bool {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		if is() {
			return true
		}
		select {
		case <-t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return false
}

// TestPrometheusScrapes: the real one, with the address that ivtd serves, has the series.
func TestPrometheusScrapes(t *testing.T) {
	address := freePort(t)
	web := prometheus(t, address)
	r := listening(t, demo, address)
	r.until(servesPublic)
	client := r.client()
	if _, err := client.Connect(t.Context(), "soft:demo/3"); err != nil {
		t.Fatal(err)
	}
	client.Connect(t.Context(), "soft:demo/3") // refused
	ask := func(query, want string) {
		t.Helper()
		var got []string
		var err error
		if !soon(t, func() bool { got, err = queried(web, query); return err == nil && len(got) == 1 && got[0] == want }) {
			t.Errorf("%s is %q, %v; want %q", query, got, err, want)
		}
	}
	ask(`up{job="ivtd"}`, "1")
	ask(`ivt_vector_holders{vector="soft:demo/3"}`, "1")
	ask(`ivt_refusals_total{code="763"}`, "1")
	ask(`ivt_connections`, "1")
}

// TestEveryPanelHasData: Prometheus, having scraped a real ivtd to which things happen, answers each query of the dashboard.
func TestEveryPanelHasData(t *testing.T) {
	text, err := os.ReadFile("../../deploy/grafana/ivt.json")
	if err != nil {
		t.Fatal(err)
	}
	var queries []string
	for _, m := range regexp.MustCompile(`"expr": ("(?:[^"\\]|\\.)*")`).FindAllSubmatch(text, -1) {
		var q string
		if err := json.Unmarshal(m[1], &q); err != nil {
			t.Fatal(err)
		}
		queries = append(queries, strings.NewReplacer("$__rate_interval", "10s", "$instance", ".*", "$job", "ivtd").Replace(q))
	}
	if len(queries) < 20 {
		t.Fatalf("only %d queries: %q", len(queries), queries)
	}
	address := freePort(t)
	web := prometheus(t, address, textFile(t))
	r := listening(t, demo, address)
	r.until(servesPublic)
	client := r.client()
	if _, err := client.Connect(t.Context(), "soft:demo/3"); err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { client.Connect(t.Context(), "soft:demo/3", ivt.Wait()) }) // ends with the test's context
	t.Cleanup(waiting.Wait)
	if !soon(t, func() bool { v, err := queried(web, "ivt_waiting_requests == 1"); return err == nil && len(v) == 1 }) {
		t.Fatal("nobody waits")
	}
	r.killWorker() // which is a line on every graph
	second := r.client()
	for _, q := range queries {
		var got []string
		var err error
		if !soon(t, func() bool {
			second.Connect(t.Context(), "soft:demo/3") // refused
			got, err = queried(web, q)
			return err == nil && len(got) > 0
		}) {
			t.Errorf("%s: %q, %v", q, got, err)
		}
	}
}

// textFile serves what ivt metrics writes for node_exporter.
func textFile(t *testing.T) (address string) {
	total := uint64(7)
	row := picture.Row{Name: "irq:9", IRQ: 9, Total: &total, Handlers: []string{"acpi"}}
	p := &picture.Picture{Machine: &host.Machine{}, Rows: []picture.Row{row}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		metrics.Write(w, metrics.Machine(p, []metrics.Finding{{ID: "unhandled", Severity: "warning"}}, false))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// queried asks Prometheus' HTTP API for the values that a query has.
func queried(address, query string) (values []string, err error) {
	r, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return nil, err
	}
	for _, v := range answer.Data.Result {
		values = append(values, fmt.Sprint(v.Value[1]))
	}
	if answer.Error != "" {
		err = errors.New(answer.Error)
	}
	return values, err
}
