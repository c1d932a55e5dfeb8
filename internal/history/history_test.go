package history

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/ivtd/ivt/irq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A journal is what the log said.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func open(t *testing.T, path string, limits Limits) (*Store, *journal) {
	t.Helper()
	j := &journal{}
	s := Open(path, limits, slog.New(slog.NewTextHandler(j, nil)))
	s.first = time.Millisecond
	return s, j
}

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func event(n uint64) irq.Event {
	return irq.Event{Sequence: n, Time: begin.Add(time.Duration(n) * time.Second), Kind: irq.EventConnected,
		Vector: irq.Vector{Source: "soft:demo", Index: int(n % 64)}, Source: "soft:demo", Detail: fmt.Sprintf("event number %d", n)}
}

func add(t *testing.T, s *Store, from, to uint64) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := s.Add(event(n)); err != nil {
			t.Fatal(err)
		}
	}
}

func numbers(t *testing.T, s *Store, after uint64) (all []uint64) {
	t.Helper()
	if err := s.Read(after, func(e irq.Event) bool { all = append(all, e.Sequence); return true }); err != nil {
		t.Fatal(err)
	}
	return all
}

func run(from, to uint64) (all []uint64) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

func close_(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// written waits until nothing is queued any more.
func written(t *testing.T, s *Store) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		s.mu.Lock()
		queued := len(s.queue)
		s.mu.Unlock()
		if queued == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events were never written", queued)
		}
	}
}

func TestRule13HistoryOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "history.db")
	s, _ := open(t, path, Limits{})
	add(t, s, 1, 500)
	if d := cmp.Diff(run(1, 500), numbers(t, s, 0)); d != "" {
		t.Error("before it is on the disk:", d)
	}
	close_(t, s)
	s, _ = open(t, path, Limits{})
	if s.Last() != 500 {
		t.Errorf("goes on after %d", s.Last())
	}
	add(t, s, 501, 600)
	if d := cmp.Diff(run(491, 600), numbers(t, s, 490)); d != "" {
		t.Error(d)
	}
	var got irq.Event
	s.Read(99, func(e irq.Event) bool { got = e; return false })
	if d := cmp.Diff(event(100), got); d != "" {
		t.Error(d)
	}
	close_(t, s)
}

func TestBounds(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "h"), Limits{Events: 100})
	add(t, s, 1, 1000)
	written(t, s)
	if d := cmp.Diff(run(901, 1000), numbers(t, s, 0)); d != "" {
		t.Error("by number:", d)
	}
	close_(t, s)
	s, _ = open(t, filepath.Join(t.TempDir(), "h"), Limits{Bytes: 20_000})
	add(t, s, 1, 1000)
	written(t, s)
	if n := len(numbers(t, s, 0)); n < 50 || n > 150 || s.bytes > 20_000 {
		t.Errorf("by size: %d events, %d bytes", n, s.bytes)
	}
	close_(t, s)
	s, _ = open(t, filepath.Join(t.TempDir(), "h"), Limits{Age: 10 * time.Second})
	add(t, s, 1, 100)
	written(t, s)
	if d := cmp.Diff(run(90, 100), numbers(t, s, 0)); d != "" {
		t.Error("by age:", d)
	}
	close_(t, s)
}

// TestClockSetBack: the order is that of the numbers, and nothing is thrown away for being from the future.
func TestClockSetBack(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "h"), Limits{Age: time.Hour})
	add(t, s, 1, 3)
	back := event(4)
	back.Time = begin.Add(-1000 * time.Hour)
	if err := s.Add(back); err != nil {
		t.Fatal(err)
	}
	written(t, s)
	if d := cmp.Diff(run(1, 4), numbers(t, s, 0)); d != "" {
		t.Error(d)
	}
	close_(t, s)
}

// TestDamage: whatever is done to the file, the store opens, has what is whole, says what it did, and goes on.
func TestDamage(t *testing.T) {
	for _, c := range []struct {
		what   string
		damage func(b []byte) []byte
		least  int // events that must be there
		says   string
	}{
		{"nothing", func(b []byte) []byte { return b }, 2000, ""},
		{"both meta pages", func(b []byte) []byte { clear(b[:8192]); return b }, 2000, "recovered=2000"},
		{"one event", func(b []byte) []byte {
			at := bytes.Index(b, []byte("event number 1234"))
			b[at] = 'E'
			return b
		}, 1999, `missing between the first and the last of them"=1`},
		{"a page in the middle", func(b []byte) []byte { copy(b[len(b)/2/4096*4096:], bytes.Repeat([]byte{0xa5}, 4096)); return b }, 1900, "put aside"},
		{"truncated", func(b []byte) []byte { return b[:len(b)/4] }, 100, "put aside"},
		{"text", func([]byte) []byte { return []byte(strings.Repeat("this is no database\n", 1000)) }, 0, "recovered=0"},
		{"zeros", func(b []byte) []byte { clear(b); return b }, 0, "recovered=0"},
	} {
		t.Run(c.what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "h")
			s, _ := open(t, path, Limits{})
			add(t, s, 1, 2000)
			close_(t, s)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, c.damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			var read int
			damage, err := ReadFile(path, func(irq.Event) bool { read++; return true })
			if err != nil || (damage != nil) != (c.says != "") || read < c.least {
				t.Errorf("read without ivtd: %d events, %v, %v", read, damage, err)
			}
			s, j := open(t, path, Limits{})
			defer close_(t, s)
			if n := len(numbers(t, s, 0)); n < c.least {
				t.Errorf("%d events are left: %s", n, j)
			}
			if !strings.Contains(j.String(), c.says) || c.says == "" && j.String() != "" {
				t.Errorf("the log says %q", j)
			}
			aside, _ := filepath.Glob(path + ".damaged-*")
			if (len(aside) == 1) != (c.says != "") {
				t.Errorf("put aside: %v", aside)
			}
			add(t, s, 3000, 3001)
			written(t, s)
			if got := numbers(t, s, 2999); !cmp.Equal(got, run(3000, 3001)) {
				t.Errorf("afterwards: %v", got)
			}
		})
	}
}

// TestNotWritable: the events are kept in memory, the log says so once, and the store comes back by itself.
func TestNotWritable(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file", "h")
	if err := os.WriteFile(filepath.Join(folder, "file"), nil, 0o600); err != nil { // where a folder must be
		t.Fatal(err)
	}
	s, j := open(t, path, Limits{Queue: 50})
	add(t, s, 1, 100)
	if d := cmp.Diff(run(51, 100), numbers(t, s, 0)); d != "" || !s.Degraded() {
		t.Error("the ring:", d)
	}
	if err := os.Remove(filepath.Join(folder, "file")); err != nil {
		t.Fatal(err)
	}
	written(t, s)
	for deadline := time.Now().Add(time.Minute); s.Degraded() && time.Now().Before(deadline); {
	}
	close_(t, s)
	if n := strings.Count(j.String(), "cannot be written"); n != 1 || !strings.Contains(j.String(), "is written again") || !strings.Contains(j.String(), "lost=50") {
		t.Errorf("the log says %s", j)
	}
	s, _ = open(t, path, Limits{})
	if d := cmp.Diff(run(51, 100), numbers(t, s, 0)); d != "" {
		t.Error("on the disk:", d)
	}
	close_(t, s)
}

// TestFullDisk fills a real file system.
func TestFullDisk(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=512k"); err != nil {
		const cure = "needs to mount a small file system, try: sudo go test ./internal/history"
		if os.Getenv("CI") == "true" {
			t.Fatal(cure)
		}
		t.Skip(cure)
	}
	t.Cleanup(func() { syscall.Unmount(folder, syscall.MNT_DETACH) })
	s, j := open(t, filepath.Join(folder, "h"), Limits{Queue: 300})
	add(t, s, 1, 10)
	written(t, s)
	ballast := filepath.Join(folder, "ballast")
	os.WriteFile(ballast, make([]byte, 512<<10), 0o600) // as much as fits
	n := uint64(10)
	for deadline := time.Now().Add(time.Minute); !s.Degraded() && time.Now().Before(deadline); n++ {
		add(t, s, n+1, n+1)
	}
	if !s.Degraded() {
		t.Fatal("the disk was never full")
	}
	add(t, s, n+1, n+100)
	if got := numbers(t, s, n); len(got) != 100 {
		t.Errorf("%d of the 100 latest can be read", len(got))
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	written(t, s)
	close_(t, s)
	if !strings.Contains(j.String(), "cannot be written") || !strings.Contains(j.String(), "is written again") {
		t.Errorf("the log says %s", j)
	}
	damage, err := ReadFile(filepath.Join(folder, "h"), func(irq.Event) bool { return true })
	if damage != nil || err != nil {
		t.Errorf("afterwards: %v, %v", damage, err)
	}
}
