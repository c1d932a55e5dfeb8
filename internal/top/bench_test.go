package top

import (
	"compress/bzip2"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
)

// large is a machine with 1,152 CPUs on which everything that ever fired fires again before each picture.
type large struct {
	*Machine
	dir  string
	turn int
	told chan struct{} // a picture was taken
}

// turns is after how many pictures the counts begin again.
const turns = 5

// setUnits sets the last digit of each number that is not 0 and stands between blanks.
func setUnits(table []byte, unit byte) {
	any, number := false, false
	for i, c := range table {
		switch {
		case c == ' ' && number && any:
			table[i-1] = unit
			fallthrough
		case c == ' ':
			any, number = false, true
		case digit(c):
			any = any || c != '0'
		default:
			number = false
		}
	}
}

func newLarge(b *testing.B) *large {
	b.Helper()
	f, err := os.Open("../../../shared/captures/pcp/interrupts-1152cpu-x86_64.bz2")
	if err != nil {
		b.Skip("no large capture here: ", err)
	}
	defer f.Close()
	table, err := io.ReadAll(bzip2.NewReader(f))
	if err != nil {
		b.Fatal(err)
	}
	l := &large{dir: b.TempDir(), told: make(chan struct{}, 1)}
	if err := os.Mkdir(filepath.Join(l.dir, "proc"), 0o755); err != nil {
		b.Fatal(err)
	}
	for turn := range turns {
		setUnits(table, byte('1'+turn))
		if err := os.WriteFile(l.file(turn), table, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	l.advance(b)
	root, err := host.Open(l.dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { root.Close() })
	l.Machine = NewMachine(root, nil)
	return l
}

func (l *large) file(turn int) string { return filepath.Join(l.dir, fmt.Sprint(turn)) }

func (l *large) advance(tb testing.TB) {
	name, now := l.file(l.turn%turns), filepath.Join(l.dir, "proc/interrupts")
	l.turn++
	if err := os.Link(name, now+"~"); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(now+"~", now); err != nil {
		tb.Fatal(err)
	}
}

func (l *large) Live() bool { return true }

func (l *large) Next(ctx context.Context) (*picture.Picture, error) {
	defer func() { l.told <- struct{}{} }()
	return l.Machine.Next(ctx)
}

// BenchmarkTop runs the whole program on a screen of 200 × 60: reading, rates, lines, drawing, and what goes to the
// terminal. It reports how much of a core that takes at one picture a second, and how many bytes a frame has.
func BenchmarkTop(b *testing.B) {
	for _, c := range []struct {
		name string
		fold fold
	}{{"list", foldNone}, {"folded by CPU", foldCPU}} {
		b.Run(c.name, func(b *testing.B) {
			l := newLarge(b)
			ctx, stop := context.WithCancel(b.Context())
			defer stop()
			m := newModel(ctx, l, time.Second)
			m.fold = c.fold
			var out counter
			p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithoutSignalHandler(), tea.WithInput(nil), tea.WithOutput(&out), tea.WithWindowSize(200, 60),
				tea.WithFPS(frames), tea.WithColorProfile(colorprofile.TrueColor), tea.WithEnvironment([]string{"TERM=xterm-256color"}))
			done := make(chan error, 1)
			go func() { _, err := p.Run(); done <- err }()
			<-l.told // the first picture
			l.advance(b)
			b.ResetTimer()
			before, bytes := processorTime(b), out.n
			for range b.N {
				<-l.told
				l.advance(b)
			}
			used := processorTime(b) - before
			b.ReportMetric(100*used.Seconds()/float64(b.N), "%core-at-1s")
			b.ReportMetric(float64(out.n-bytes)/float64(b.N), "bytes/frame")
			p.Quit()
			go func() { // a picture that is on its way
				for range l.told {
				}
			}()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		})
	}
}

// counter counts what is written.
type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) { c.n += len(p); return len(p), nil }

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
