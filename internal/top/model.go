package top

import (
	"context"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
)

// A Model is what is shown. It changes by messages only, and is not for several goroutines.
type Model struct {
	ctx      context.Context
	feed     Feed
	interval time.Duration

	width, height int
	picture       *picture.Picture // nil until there is one
	trends        trends
	failure       string    // why the latest picture could not be taken
	known         bool      // ivtd was there
	lost          time.Time // since when it is not; zero if it is, or never was
	lostWhy       string

	sort    int // a column
	reverse bool
	filter  string
	typing  bool
	fold    fold
	opened  map[string]bool // groups
	frozen  bool
	help    bool
	detail  *detail

	lines   []*line
	matched int               // rows that the filter chooses
	widest  [len(columns)]int // of all lines, so that the layout is still while scrolling
	cursor  string            // key of the line; "" is the first
	at      int               // where that is
	top     int               // the first line on the screen

	drawn string // the frame of this state; "" when it has to be drawn anew
}

// A detail is the look at one vector.
type detail struct {
	name  string
	about *About // nil while it is asked for
	top   int
}

type (
	pictureMsg struct {
		picture *picture.Picture
		err     error
		began   time.Time
	}
	tickMsg  struct{}
	aboutMsg struct {
		name  string
		about *About
	}
)

// newModel starts with what a feed has. The context ends what is being asked.
func newModel(ctx context.Context, f Feed, interval time.Duration) *Model {
	m := &Model{ctx: ctx, feed: f, interval: interval, width: 80, height: 24, sort: colRate, opened: map[string]bool{}}
	if !f.Live() {
		m.sort = colCount
	}
	return m
}

// Init asks for the first picture.
func (m *Model) Init() tea.Cmd { return m.take() }

// Update takes a message. All but that of the clock may change what is seen.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if _, clock := msg.(tickMsg); !clock {
		m.drawn = ""
	}
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = max(1, msg.Width), max(1, msg.Height)
		m.follow()
	case pictureMsg:
		return m, m.see(msg)
	case tickMsg:
		if m.frozen {
			return m, m.wait(0)
		}
		return m, m.take()
	case aboutMsg:
		if m.detail != nil && m.detail.name == msg.name {
			m.detail.about = msg.about
		}
	case tea.PasteMsg:
		if m.typing {
			m.setFilter(m.filter + printable(msg.Content))
		}
	case tea.KeyPressMsg:
		return m, m.key(msg)
	}
	return m, nil
}

// take asks for a picture. There is never a second one on the way: the next is asked for when this one came.
func (m *Model) take() tea.Cmd {
	return func() tea.Msg {
		began := time.Now()
		p, err := m.feed.Next(m.ctx)
		return pictureMsg{p, err, began}
	}
}

func (m *Model) wait(used time.Duration) tea.Cmd {
	if !m.feed.Live() {
		return nil
	}
	return tea.Tick(max(m.interval-used, m.interval/10), func(time.Time) tea.Msg { return tickMsg{} })
}

func (m *Model) see(msg pictureMsg) tea.Cmd {
	m.failure = ""
	if msg.err != nil {
		m.failure = msg.err.Error()
		return m.wait(0)
	}
	if !m.frozen {
		m.picture = msg.picture
		m.trends.record(m.picture)
		m.seeDaemon()
		m.settle()
	}
	return m.wait(time.Since(msg.began))
}

// seeDaemon notices that ivtd went, and that it came back.
func (m *Model) seeDaemon() {
	switch {
	case m.picture.Daemon != nil:
		m.known, m.lost, m.lostWhy = true, time.Time{}, ""
	case m.known:
		if m.lost.IsZero() {
			m.lost = m.picture.Taken
		}
		m.lostWhy = m.unseen()
	}
}

// unseen is why ivtd's vectors are not in the picture, "" if they are.
func (m *Model) unseen() string {
	i := slices.IndexFunc(m.picture.Blind, func(b host.Blind) bool { return b.What == picture.Ours })
	if i < 0 {
		return ""
	}
	return m.picture.Blind[i].Why
}

// look opens the detail of a vector and asks for what is not in the picture.
func (m *Model) look(r *picture.Row) tea.Cmd {
	m.detail = &detail{name: r.Name}
	name, names := r.Name, append([]string{r.Name}, r.Aliases...)
	return func() tea.Msg { return aboutMsg{name, m.feed.About(m.ctx, name, names)} }
}

// looked is the row of the detail, nil if it is gone.
func (m *Model) looked() *picture.Row {
	for i := range m.picture.Rows {
		if r := &m.picture.Rows[i]; r.Name == m.detail.name || slices.Contains(r.Aliases, m.detail.name) {
			return r
		}
	}
	return nil
}

// measure finds how wide each column would like to be.
func (m *Model) measure() {
	for c := range columns {
		m.widest[c] = utf8.RuneCountInString(columns[c].head) + 1 // room for the arrow
	}
	for _, l := range m.lines {
		for _, c := range [...]int{colIRQ, colVector, colState, colCount, colHolder, colDevice, colNode} {
			m.widest[c] = max(m.widest[c], utf8.RuneCountInString(columns[c].cell(l)))
		}
		m.widest[colCPUs] = max(m.widest[colCPUs], cpusWidth(l))
		if l.group != "" {
			m.widest[colVector] = max(m.widest[colVector], utf8.RuneCountInString(l.name())+8)
		}
	}
}

// cpusWidth is about how wide the CPUs of a line are, at no cost: large sets are cut.
func cpusWidth(l *line) int {
	const list = 9
	switch {
	case l.row == nil:
		return 0
	case l.row.CPUs.Len() > 1:
		return list
	}
	return len(strconv.Itoa(l.firstCPU()))
}

// follow finds the cursor's line again, and keeps it on the screen.
func (m *Model) follow() {
	at := 0
	if m.cursor != "" {
		at = slices.IndexFunc(m.lines, func(l *line) bool { return l.key() == m.cursor })
	}
	if at < 0 {
		at = min(m.at, len(m.lines)-1) // it is gone: the one that took its place
	}
	m.at = max(0, at)
	body := max(1, m.body())
	m.top = max(min(m.top, m.at, len(m.lines)-body), m.at-body+1, 0)
}

// move puts the cursor n lines on. On the first line it stays on the first, whichever that is.
func (m *Model) move(n int) {
	m.at = max(0, min(m.at+n, len(m.lines)-1))
	m.cursor = ""
	if m.at > 0 {
		m.cursor = m.lines[m.at].key()
	}
	m.follow()
}

func (m *Model) setFilter(s string) {
	const most = 200
	for len(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	m.filter = s
	m.settle()
}

// printable leaves out what is no text.
func printable(s string) string {
	var text []rune
	for _, r := range s {
		if unicode.IsPrint(r) {
			text = append(text, r)
		}
	}
	return string(text)
}
