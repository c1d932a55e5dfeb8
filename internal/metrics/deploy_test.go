package metrics

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const deploy = "../../deploy"

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAlerts asks Prometheus' own tool: each alert fires when it should, with its texts, and is silent on a healthy machine.
func TestAlerts(t *testing.T) {
	tool := program(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "ivt.rules.yml"}, {"test", "rules", "ivt.rules.test.yml"}} {
		c := exec.CommandContext(t.Context(), tool, args...)
		c.Dir = filepath.Join(deploy, "prometheus")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// TestAlertsHaveTestsAndRunbooks: no alert without a test that fires it, or with a link that leads nowhere.
func TestAlertsHaveTestsAndRunbooks(t *testing.T) {
	rules, tests := read(t, deploy+"/prometheus/ivt.rules.yml"), read(t, deploy+"/prometheus/ivt.rules.test.yml")
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(rules, -1)
	if len(alerts) != 8 {
		t.Errorf("%d alerts", len(alerts))
	}
	for _, a := range alerts {
		if !strings.Contains(tests, "- alertname: "+a[1]+"\n") || !strings.Contains(tests, "{alertname: "+a[1]+",") {
			t.Errorf("%s is not tested to fire and to be silent", a[1])
		}
	}
	links := regexp.MustCompile(`runbook_url: '?(\S+?)'?\n`).FindAllStringSubmatch(strings.ReplaceAll(rules, "{{ $labels.finding }}", "nobody-cared"), -1)
	if len(links) != len(alerts) {
		t.Errorf("%d links of %d alerts", len(links), len(alerts))
	}
	for _, l := range links {
		path, ok := strings.CutPrefix(l[1], "https://github.com/ivtd/ivt/blob/main/")
		path, anchor, _ := strings.Cut(path, "#")
		if page := read(t, "../../"+path); !ok || anchor != "" && !slices.Contains(anchors(page), anchor) {
			t.Errorf("%s leads nowhere", l[1])
		}
	}
}

// anchors are the names of a page's headings, as they are in links.
func anchors(page string) (all []string) {
	for line := range strings.Lines(page) {
		if text, ok := strings.CutPrefix(strings.TrimLeft(strings.TrimSpace(line), "#"), " "); ok && strings.HasPrefix(line, "#") {
			all = append(all, strings.ReplaceAll(regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(text), ""), " ", "-"))
		}
	}
	return all
}

var metricName = regexp.MustCompile(`\bivt_\w+`)

// TestNothingIsAskedThatIsNotThere: dashboard, rules and documentation use metrics that exist, and the documentation has all.
func TestNothingIsAskedThatIsNotThere(t *testing.T) {
	documented := read(t, "../../docs/metrics.md")
	for name, text := range map[string]string{
		"dashboard": read(t, deploy+"/grafana/ivt.json"), "rules": read(t, deploy+"/prometheus/ivt.rules.yml"),
		"tests of rules": read(t, deploy+"/prometheus/ivt.rules.test.yml"), "documentation": documented,
	} {
		for _, m := range metricName.FindAllString(text, -1) {
			if !slices.Contains(Names(), m) {
				t.Errorf("%s: there is no %s", name, m)
			}
		}
	}
	for _, m := range Names() {
		if !strings.Contains(documented, "`"+m+"`") {
			t.Errorf("the documentation does not have %s", m)
		}
	}
}

// TestDashboard parses, every panel asks something, and Prometheus understands it.
func TestDashboard(t *testing.T) {
	var board struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, deploy+"/grafana/ivt.json")), &board); err != nil {
		t.Fatal(err)
	}
	ids, places := map[int]bool{}, map[[2]int]bool{}
	var rules strings.Builder
	number := 0
	rules.WriteString("groups: [{name: dashboard, rules: [")
	for _, p := range board.Panels {
		if ids[p.ID] || places[[2]int{p.GridPos.X, p.GridPos.Y}] || p.Title == "" || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %+v", p)
		}
		ids[p.ID], places[[2]int{p.GridPos.X, p.GridPos.Y}] = true, true
		for _, target := range p.Targets {
			expr, _ := json.Marshal(strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$job", "ivtd").Replace(target.Expr))
			number++
			fmt.Fprintf(&rules, "{record: 'ivt:%d', expr: %s},", number, expr)
		}
	}
	rules.WriteString("]}]\n")
	if len(ids) < 10 {
		t.Errorf("panels %v", slices.Sorted(maps.Keys(ids)))
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program(t, "promtool"), "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%.3000s", err, out)
	}
}

// TestTimerStartsWhatThereIs: systemd understands the units.
func TestTimerStartsWhatThereIs(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), program(t, "systemd-analyze"), "verify", "--man=no", deploy+"/ivt-metrics.timer", deploy+"/ivt-metrics.service").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "ivt-metrics") && !strings.Contains(line, "/usr/local/bin/ivt is not executable") {
			t.Errorf("%v: %s", err, line)
		}
	}
}
