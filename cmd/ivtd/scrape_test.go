package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPrometheusScrapes: the real one, with the address that ivtd serves, has the series.
func TestPrometheusScrapes(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no prometheus; try: apt-get install prometheus")
		}
		t.Skip("no prometheus; try: apt-get install prometheus")
	}
	address, web, dir := freePort(t), freePort(t), t.TempDir()
	r := listening(t, demo, address)
	r.until(servesPublic)
	client := r.client()
	if _, err := client.Connect(t.Context(), "soft:demo/3"); err != nil {
		t.Fatal(err)
	}
	client.Connect(t.Context(), "soft:demo/3") // refused
	config := fmt.Sprintf("global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n- job_name: ivtd\n  static_configs: [{targets: ['%s']}]\n", address)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := exec.Command(program, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+web, "--log.level=warn")
	var log strings.Builder
	p.Stderr = &log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { p.Process.Kill(); p.Wait() }()
	ask := func(query, want string) {
		t.Helper()
		got := ""
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
			if got, err = queried(web, query); err == nil && got == want {
				return
			}
			select {
			case <-t.Context().Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
		p.Process.Kill()
		p.Wait()
		t.Errorf("%s is %q, %v; want %q\n%s", query, got, err, want, log.String())
	}
	ask(`up{job="ivtd"}`, "1")
	ask(`ivt_vector_holders{vector="soft:demo/3"}`, "1")
	ask(`ivt_refusals_total{code="763"}`, "1")
	ask(`ivt_connections`, "1")
}

// queried asks Prometheus' HTTP API for the value of the one series that a query has.
func queried(address, query string) (string, error) {
	r, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return "", err
	}
	if len(answer.Data.Result) != 1 {
		return "", fmt.Errorf("%d series", len(answer.Data.Result))
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1]), nil
}
