package explain

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func scan(t *testing.T, text string, loose bool) []*Incident {
	t.Helper()
	s := NewScanner(strings.NewReader(text))
	s.Loose = loose
	var all []*Incident
	for s.Scan() {
		all = append(all, s.Incident())
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryMessageKnowsItsSample(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Messages() {
		t.Run(m.ID, func(t *testing.T) {
			if seen[m.ID] {
				t.Error("the id is not unique")
			}
			seen[m.ID] = true
			found := scan(t, m.Sample, true)
			if len(found) != 1 || found[0].Message.ID != m.ID {
				t.Fatalf("the sample is taken for %v", ids(found))
			}
			if title := found[0].Title; title == "" || strings.ContainsAny(title, "{}") || strings.Contains(title, "?") {
				t.Errorf("title %q", title)
			}
		})
	}
}

func TestEveryMessageIsComplete(t *testing.T) {
	for _, m := range Messages() {
		if m.Title == "" || m.Meaning == "" || m.Function == "" || m.File == "" {
			t.Errorf("%s: title, meaning, function or file is missing", m.ID)
		}
		if m.Severity > Info && len(m.Resolve) == 0 {
			t.Errorf("%s: %s, and nothing to do", m.ID, m.Severity)
		}
		if (m.Severity > Info) != (m.Finding != "") && m.Finding != "no-handler-for-vector" {
			t.Errorf("%s: severity %s does not go with finding %q", m.ID, m.Severity, m.Finding)
		}
		for _, id := range m.Continues {
			if FindMessage(id) == nil {
				t.Errorf("%s continues %s, which there is not", m.ID, id)
			}
		}
		checkPlaceholders(t, m)
	}
}

// checkPlaceholders: each {name} is a group of the pattern, or one of a line that may follow.
func checkPlaceholders(t *testing.T, m *Message) {
	names := map[string]bool{}
	for _, other := range Messages() {
		if other == m || slices.Contains(other.Continues, m.ID) {
			for _, name := range other.compile().SubexpNames() {
				names[baseName(name)] = true
			}
		}
	}
	texts := append([]string{m.Title, m.Meaning}, m.Causes...)
	for _, r := range m.Resolve {
		texts = append(texts, r.Do, r.Command, r.Risk)
	}
	for _, text := range texts {
		for _, p := range placeholder().FindAllString(text, -1) {
			if !names[p[1:len(p)-1]] {
				t.Errorf("%s: %s is no group of its pattern", m.ID, p)
			}
		}
	}
}

func TestPrefilterHasSomethingToLookForInEveryMessage(t *testing.T) {
	for _, m := range Messages() {
		if set := literals(m.Pattern); shortest(set) < 3 {
			t.Errorf("%s: %q is too little to look for in %s", m.ID, set, m.Pattern)
		}
	}
	t.Logf("%d states, %d columns", len(messageFilter().found), messageFilter().width)
	if messageFilter().width >= stride {
		t.Errorf("the table needs more than %d columns", stride)
	}
	if n := len(messageFilter().found); n > 5000 {
		t.Errorf("the table has %d states", n)
	}
}

// The lines that people posted in public, with the kernel's formats that nobody posted.
func TestEveryReportedLineIsExplained(t *testing.T) {
	name := filepath.Join("..", "..", "..", "..", "shared", "captures", "dmesg-lines.txt")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Skipf("no collection of reported lines here (%v); the catalogue's own samples are tested all the same", err)
	}
	explained := map[string]bool{}
	for _, in := range scan(t, string(data), false) {
		for _, line := range in.Lines {
			explained[line] = true
		}
	}
	lines := bufio.NewScanner(strings.NewReader(string(data)))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' && !strings.HasPrefix(line, "#1:") {
			continue
		}
		if e := parseEntry([]byte(line)); !explained[string(e.Text)] {
			t.Errorf("not explained: %s", line)
		}
	}
}

func ids(all []*Incident) (names []string) {
	for _, in := range all {
		names = append(names, in.Message.ID)
	}
	return names
}

// What the parts of a line are, where a pattern could take the wrong words for them.
func TestPartsOfLines(t *testing.T) {
	for line, want := range map[string]map[string]string{
		"Failed to enable SRIOV: Only 0 MSI-X interrupts available for SR-IOV. Not enough to support minimum of 2 MSI-X interrupts per VF for 1 VFs": {"device": "", "available": "0", "vfs": "1"},
		"Serial bus multi instantiate pseudo device driver INT3515:00: error -ENXIO: IRQ index 1 not found":                                          {"device": "INT3515:00", "driver": "driver", "name": "1", "errno": "-ENXIO"},
		"ena 0000:00:05.0 eth0: Potential MSIX issue on Tx side Queue = 3. Reset the device":                                                         {"device": "0000:00:05.0", "interface": "eth0", "queue": "3"},
		"nvme nvme0: I/O tag 12 (100c) QID 7 timeout, completion polled":                                                                             {"device": "nvme0", "tag": "12", "queue": "7"},
		"nvme nvme0: I/O 24 QID 3 timeout, completion polled":                                                                                        {"device": "nvme0", "tag": "24", "queue": "3"},
		"i40e 0000:3b:00.0: MSI-X vector limit reached with 33, wanted 65, attempting to redistribute vectors":                                       {"device": "0000:3b:00.0", "got": "33", "wanted": "65"},
		"[12.0] No irq handler for 3.37":                                                                       {"cpu": "3", "vector": "37"},
		"kernel:do_IRQ: 8.71 No irq handler for vector (irq -1)":                                               {"cpu": "8", "vector": "71", "irq": "-1"},
		"DMAR: [INTR-REMAP] Request device [0x01:00.0] fault index 2f [fault reason 26] x":                     {"device": "01:00.0", "index": "2f", "reason": "26"},
		"sunxi 300b000.pinctrl: pin PC7 already requested by 5010000.spi; cannot claim for 300b000.pinctrl:71": {"pin": "PC7", "held_by": "5010000.spi", "asked_by": "300b000.pinctrl:71"},
		"genirq: Flags mismatch irq 5. 00000000 (a (b) c) vs. 00000080 (d)":                                    {"asked_by": "a (b) c", "held_by": "d"},
	} {
		t.Run(line, func(t *testing.T) {
			found := scan(t, line, false)
			if len(found) != 1 {
				t.Fatalf("%v", ids(found))
			}
			for name, value := range want {
				if got := found[0].Field(name); got != value {
					t.Errorf("%s is %q, want %q", name, got, value)
				}
			}
		})
	}
}
