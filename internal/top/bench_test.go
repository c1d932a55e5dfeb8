package top

import (
	"context"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"github.com/ivtd/ivt/internal/host/hosttest"
	"github.com/ivtd/ivt/internal/picture"
)

// large is a busy machine with 1,152 CPUs that tells of each picture.
type large struct {
	*Machine
	busy *hosttest.Busy
	told chan struct{} // a picture was taken
}

func newLarge(b *testing.B) *large {
	b.Helper()
	busy := hosttest.NewBusy(b, hosttest.Large(b))
	return &large{Machine: NewMachine(busy.Root, nil), busy: busy, told: make(chan struct{}, 1)}
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
			l.busy.Advance(b)
			b.ResetTimer()
			before, bytes := hosttest.ProcessorTime(b), out.n
			for range b.N {
				<-l.told
				l.busy.Advance(b)
			}
			used := hosttest.ProcessorTime(b) - before
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
