package top

import (
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/doctor"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/irq"
)

var update = flag.Bool("update", false, "write golden frames and the README's screenshot anew")

func TestMain(m *testing.M) {
	time.Local = time.UTC
	flag.Parse()
	status := m.Run()
	removePrograms()
	os.Exit(status)
}

// script is a feed that shows one picture after the other.
type script struct {
	pictures []*picture.Picture
	err      error
	saved    bool
	about    *About
}

func (s *script) Name() string { return "server.tar" }
func (s *script) Live() bool   { return !s.saved }
func (s *script) Next(context.Context) (*picture.Picture, error) {
	if s.err != nil {
		return nil, s.err
	}
	p := s.pictures[0]
	if len(s.pictures) > 1 {
		s.pictures = s.pictures[1:]
	}
	return p, nil
}
func (s *script) About(context.Context, string, []string) *About { return s.about }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func ptr[T any](x T) *T { return &x }

// sample is a small machine: two network queues, a disk, doorbells of ivtd.
func sample() *picture.Picture {
	nic := irq.Holder{Kind: irq.HolderProcess, PID: 4711, Command: "nicd", Unit: "nic-worker@1.service", Label: "rx", Since: noon}
	return &picture.Picture{Taken: noon, Machine: &host.Machine{Kernel: "6.18.5"}, Daemon: &ivt.Status{Connections: 2, Waiting: 1},
		CPUs: []picture.CPU{{Number: 0, Node: 0, Rate: 12345}, {Number: 1, Node: 0, Rate: 20}, {Number: 2, Node: 1}, {Number: 3, Node: 1, Rate: 800}},
		Rows: []picture.Row{
			{Name: "irq:9", IRQ: 9, State: irq.StateConnected, Handlers: []string{"acpi"}, Holders: []irq.Holder{{Kind: irq.HolderKernel, Driver: "acpi"}},
				Device: "PNP0C02:00", Node: -1, CPUs: host.NewCPUSet(2), Total: ptr(uint64(4)), Rate: ptr(0.0)},
			{Name: "pci:0000:3b:00.0/msix/0", Aliases: []string{"irq:36"}, IRQ: 36, State: irq.StateConnected, Managed: true, Device: "pci:0000:3b:00.0", Driver: "vfio-pci",
				Holders: []irq.Holder{nic}, Node: 0, CPUs: host.NewCPUSet(0), Asked: host.NewCPUSet(0, 1), Total: ptr(uint64(9876543)), Rate: ptr(12345.0),
				Hits: []picture.Hit{{Column: 0, Rate: 12345}}, Chip: "PCI-MSIX", Trigger: "edge", Delivery: irq.DeliveryEventfd},
			{Name: "pci:0000:3b:00.0/msix/1", IRQ: 37, State: irq.StateOrphaned, Managed: true, Device: "pci:0000:3b:00.0", Driver: "vfio-pci",
				Node: 0, CPUs: host.NewCPUSet(1), Total: ptr(uint64(77)), Rate: ptr(20.0), Hits: []picture.Hit{{Column: 1, Rate: 20}}},
			{Name: "irq:40", IRQ: 40, State: irq.StateConnected, Handlers: []string{"nvme0q1"}, Driver: "nvme", Holders: []irq.Holder{{Kind: irq.HolderKernel, Driver: "nvme"}},
				Device: "pci:0000:41:00.0", Node: 1, CPUs: host.NewCPUSet(3), Total: ptr(uint64(123456)), Rate: ptr(800.0), Hits: []picture.Hit{{Column: 3, Rate: 800}}},
			{Name: "soft:demo/2", Source: "soft:demo", State: irq.StateFree, Managed: true, Shareable: true, Node: -1, Total: ptr(uint64(0)), Rate: ptr(0.0)},
			{Name: "soft:demo/10", Source: "soft:demo", State: irq.StateConnected, Managed: true, Shareable: true, Storm: true, Waiting: 1, Node: -1, Total: ptr(uint64(9)),
				Rate: ptr(0.0), Holders: []irq.Holder{{Kind: irq.HolderProcess, PID: 99, Command: "bell"}}},
		}}
}

// about is what is known of the first queue.
func about() *About {
	holder := sample().Rows[1].Holders[0]
	return &About{
		Findings: []*doctor.Finding{{ID: "affinity", Severity: doctor.Warning, Title: "irq 36 lands on another node", Meaning: "Each interrupt crosses the interconnect.",
			Remedies: []doctor.Remedy{{Do: "move it", Command: "ivt affinity irq:36 2-3"}}}},
		Events: []irq.Event{{Time: noon.Add(-time.Minute), Kind: irq.EventConnected, Holder: &holder},
			{Time: noon.Add(-time.Second), Kind: irq.EventRefused, Holder: &irq.Holder{Kind: irq.HolderProcess, PID: 5, Command: "late"},
				Refused: &irq.Error{Code: irq.ErrAlreadyConnected, Detail: "nicd has it", Remedies: []string{"ivt who irq:36"}, Conflicts: []irq.Conflict{{Holders: []irq.Holder{holder}}}}}},
	}
}

// start makes a model that has seen the pictures of a feed.
func start(t *testing.T, f *script, width, height int) *Model {
	t.Helper()
	m := newModel(t.Context(), f, time.Second)
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	for range len(f.pictures) {
		m.Update(m.take()())
	}
	return m
}

// press types keys: names in <>, everything else as it is. Commands that ask about a vector are run at once.
func press(m *Model, keys string) (last tea.Cmd) {
	for keys != "" {
		name := keys[:1]
		if name == "<" {
			name, _, _ = strings.Cut(keys[1:], ">")
			keys = keys[2:]
		}
		keys = keys[len(name):]
		_, last = m.Update(keyOf(name))
		if last != nil && m.detail != nil && m.detail.about == nil {
			m.Update(last())
		}
	}
	return last
}

func keyOf(name string) tea.KeyPressMsg {
	named := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "up": tea.KeyUp, "down": tea.KeyDown, "backspace": tea.KeyBackspace, "end": tea.KeyEnd,
		"home": tea.KeyHome, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "left": tea.KeyLeft}
	if r, ok := named[name]; ok {
		return tea.KeyPressMsg{Code: r}
	}
	if rest, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(rest[0]), Mod: tea.ModCtrl}
	}
	if name == " " {
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	}
	return tea.KeyPressMsg{Code: rune(name[0]), Text: name}
}

// names are the lines in a word each.
func names(m *Model) (list []string) {
	for _, l := range m.lines {
		before, name, after := branch(l)
		list = append(list, strings.TrimSpace(before+name+after))
	}
	return list
}

func TestKeysChooseWhatIsShown(t *testing.T) {
	q0, q1 := "pci:0000:3b:00.0/msix/0", "pci:0000:3b:00.0/msix/1"
	for _, c := range []struct {
		name, keys string
		want       []string
	}{
		{"the busiest first", "", []string{q0, "irq:40", q1, "irq:9", "soft:demo/2", "soft:demo/10"}},
		{"reversed, the busiest last", "r", []string{"irq:9", "soft:demo/2", "soft:demo/10", q1, "irq:40", q0}},
		{"the column before rate is state", "S", []string{"irq:9", q0, "irq:40", "soft:demo/2", q1, "soft:demo/10"}},
		{"two before: by name, as people count", "SS", []string{"irq:9", "irq:40", q0, q1, "soft:demo/2", "soft:demo/10"}},
		{"the second after: by count", "ss", []string{q0, "irq:40", q1, "soft:demo/10", "irq:9", "soft:demo/2"}},
		{"filtered while typing", "/demo", []string{"soft:demo/2", "soft:demo/10"}},
		{"all words must be there", "/demo held", []string{"soft:demo/10"}},
		{"by holder's label", "/rx<enter>", []string{q0}},
		{"by process", "/pid:99", []string{"soft:demo/10"}},
		{"by unit", "/unit:nic-worker@1", []string{q0}},
		{"by CPU", "/cpu:3", []string{"irq:40"}},
		{"by driver", "/driver:nvm", []string{"irq:40"}},
		{"free", "/free", []string{"soft:demo/2"}},
		{"a mistake corrected", "/demx<backspace>o free", []string{"soft:demo/2"}},
		{"the filter given up", "/demo<esc>", []string{q0, "irq:40", q1, "irq:9", "soft:demo/2", "soft:demo/10"}},
		{"the filter cleared afterwards", "/demo<enter><esc>", []string{q0, "irq:40", q1, "irq:9", "soft:demo/2", "soft:demo/10"}},
		{"nothing fits", "/nowhere", nil},
		{"folded by device", "f", []string{"▸ pci:0000:3b:00.0 (2)", "▸ pci:0000:41:00.0 (1)", "▸ PNP0C02:00 (1)", "▸ soft:demo (2)"}},
		{"the first one opened", "f<enter>", []string{"▾ pci:0000:3b:00.0 (2)", q0, q1, "▸ pci:0000:41:00.0 (1)", "▸ PNP0C02:00 (1)", "▸ soft:demo (2)"}},
		{"and closed from inside", "f<enter><down><left>", []string{"▸ pci:0000:3b:00.0 (2)", "▸ pci:0000:41:00.0 (1)", "▸ PNP0C02:00 (1)", "▸ soft:demo (2)"}},
		{"folded by node", "ff", []string{"▸ node 0 (2)", "▸ node 1 (1)", "▸ no node (3)"}},
		{"folded by CPU", "fff", []string{"▸ CPU 0 (1)", "▸ CPU 3 (1)", "▸ CPU 1 (1)", "▸ CPU 2 (1)", "▸ no CPU (2)"}},
		{"backwards", "F", []string{"▸ CPU 0 (1)", "▸ CPU 3 (1)", "▸ CPU 1 (1)", "▸ CPU 2 (1)", "▸ no CPU (2)"}},
		{"a fold of what the filter chose", "/nvme<enter>f", []string{"▸ pci:0000:41:00.0 (1)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := start(t, &script{pictures: []*picture.Picture{sample()}}, 100, 24)
			press(m, c.keys)
			if d := cmp.Diff(c.want, names(m)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestQuit(t *testing.T) {
	for _, keys := range []string{"q", "<ctrl+c>", "/text<ctrl+c>", "?<ctrl+c>", "<enter><ctrl+c>", "<enter>q"} {
		m := start(t, &script{pictures: []*picture.Picture{sample()}, about: about()}, 80, 24)
		last := press(m, keys)
		if last == nil {
			t.Errorf("%s does not quit", keys)
		} else if _, ok := last().(tea.QuitMsg); !ok {
			t.Errorf("%s does not quit", keys)
		}
	}
	m := start(t, &script{pictures: []*picture.Picture{sample()}}, 80, 24)
	if press(m, "/q"); !m.typing || m.filter != "q" {
		t.Error("q in a filter is text")
	}
}

func TestTheCursorStaysOnItsVector(t *testing.T) {
	calm := sample()
	calm.Rows[1].Rate = ptr(0.0)
	m := start(t, &script{pictures: []*picture.Picture{sample(), calm}}, 80, 24)
	m.Update(pictureMsg{picture: sample()})
	press(m, "<down>")
	if got := m.lines[m.at].name(); got != "irq:40" {
		t.Fatal(got)
	}
	m.Update(pictureMsg{picture: calm})
	if got := m.lines[m.at].name(); got != "irq:40" || m.at != 0 {
		t.Errorf("it is on %s, line %d", got, m.at)
	}
	gone := sample()
	gone.Rows = gone.Rows[:2]
	press(m, "<end>")
	m.Update(pictureMsg{picture: gone})
	if m.at != 1 {
		t.Errorf("its vector is gone: line %d", m.at)
	}
	gone.Rows = nil
	m.Update(pictureMsg{picture: gone})
	press(m, "<down><end><enter><pgup>fff<enter>")
}

func TestFreezeKeepsThePicture(t *testing.T) {
	m := start(t, &script{pictures: []*picture.Picture{sample()}}, 80, 24)
	press(m, " ")
	other := sample()
	other.Rows = other.Rows[:1]
	m.Update(pictureMsg{picture: other})
	if _, cmd := m.Update(tickMsg{}); len(m.lines) != 6 || cmd == nil {
		t.Errorf("%d lines", len(m.lines))
	}
	press(m, "/demo<enter>")
	if len(m.lines) != 2 {
		t.Error("a frozen picture can be filtered")
	}
	press(m, " ")
	m.Update(pictureMsg{picture: other})
	if m.total() != 1 {
		t.Error("it does not go on")
	}
}

func TestALostDaemonIsSaidAndComesBack(t *testing.T) {
	lost := sample()
	lost.Daemon, lost.Rows = nil, lost.Rows[:1]
	lost.Blind = []host.Blind{{What: picture.Ours, Why: "connection refused"}}
	m := start(t, &script{pictures: []*picture.Picture{sample()}}, 100, 24)
	m.Update(pictureMsg{picture: lost})
	if f := m.frame(); !strings.Contains(f, "ivtd gone since 12:00:00: connection refused") {
		t.Error(f)
	}
	m.Update(pictureMsg{picture: sample()})
	if f := m.frame(); strings.Contains(f, "gone") || !strings.Contains(f, "2 connections, 1 waiting") {
		t.Error(f)
	}
	none := *lost
	none.Blind = []host.Blind{{What: picture.Ours, Why: picture.Nobody}}
	never := start(t, &script{pictures: []*picture.Picture{&none}}, 100, 24)
	if f := never.frame(); strings.Contains(f, "gone") || !strings.Contains(f, "no ivtd") {
		t.Error(f)
	}
}

func TestAnUnreadableMachineIsTriedAgain(t *testing.T) {
	f := &script{pictures: []*picture.Picture{sample()}, err: errors.New("no /proc/interrupts")}
	m := newModel(t.Context(), f, time.Second)
	if _, cmd := m.Update(m.take()()); cmd == nil || !strings.Contains(m.frame(), "no /proc/interrupts; trying again") {
		t.Error(m.frame())
	}
	f.err = nil
	m.Update(m.take()())
	if strings.Contains(m.frame(), "trying again") || len(m.lines) != 6 {
		t.Error(m.frame())
	}
}

// TestWhoIsNotLetInIsTold: an ivtd that is there is not taken for none.
func TestWhoIsNotLetInIsTold(t *testing.T) {
	p := sample()
	p.Daemon = nil
	p.Blind = append(p.Blind, picture.Unseen(&irq.Error{Code: irq.ErrAccessDenied, Detail: "the socket /s does not let this user in", Remedies: []string{"ls -l /s"}}))
	m := start(t, &script{pictures: []*picture.Picture{p}}, 160, 24)
	if f := m.frame(); !strings.Contains(f, "ivtd: the socket /s does not let this user in") || strings.Contains(f, "no ivtd") {
		t.Errorf("\n%s", f)
	}
	sound(t, m.frame(), 160, 24)
}

func TestASavedMachineIsReadOnce(t *testing.T) {
	m := newModel(t.Context(), &script{pictures: []*picture.Picture{sample()}, saved: true}, time.Second)
	if _, cmd := m.Update(m.take()()); cmd != nil {
		t.Error("it asks for another picture")
	}
}

func TestPasteIntoTheFilter(t *testing.T) {
	m := start(t, &script{pictures: []*picture.Picture{sample()}}, 80, 24)
	m.Update(tea.PasteMsg{Content: "ignored"})
	press(m, "/")
	m.Update(tea.PasteMsg{Content: "de\x1b[2Jmo\n" + strings.Repeat("ü", 500)})
	if !strings.HasPrefix(m.filter, "de[2Jmoü") || len(m.filter) > 200 {
		t.Errorf("%q", m.filter)
	}
}

func TestTrendsGoBackAMinute(t *testing.T) {
	var tr trends
	p := &picture.Picture{Rows: []picture.Row{{Name: "a", Rate: ptr(1.0)}, {Name: "b", Rate: ptr(0.0)}}}
	for range 2 * longest {
		tr.record(p)
	}
	if n := len(tr.of("a")); n != longest || tr.of("b") != nil {
		t.Errorf("%d, %v", n, tr.of("b"))
	}
	p.Rows = nil
	for range longest {
		tr.record(p)
	}
	if tr.of("a") != nil {
		t.Error("what is gone for a minute is remembered")
	}
}

func TestWords(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 0.04: "0.0", 9.94: "9.9", 9.96: "10", 1234: "1234", 12345: "12.3k", 120e3: "120k", 999.6e3: "1.0M", 3e9: "3.0G", 1e20: "many"} {
		if got := short(x); got != want {
			t.Errorf("short(%v) = %s, want %s", x, got, want)
		}
	}
	for _, c := range []struct {
		rates []float32
		n     int
		want  string
	}{{nil, 4, ""}, {[]float32{0, 0}, 4, ""}, {[]float32{1, 0, 8}, 4, " ▂▁█"}, {[]float32{9, 1, 2}, 2, "▅█"}} {
		if got := spark(c.rates, c.n); got != c.want {
			t.Errorf("spark(%v, %d) = %q, want %q", c.rates, c.n, got, c.want)
		}
	}
}
