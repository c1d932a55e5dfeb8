//go:build linux

package source

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
)

func soft4(settings ...any) Config {
	all := map[string]any{"vectors": 4, "shareable": true}
	for i := 0; i < len(settings); i += 2 {
		all[settings[i].(string)] = settings[i+1]
	}
	return Config{Name: "soft:test", Settings: all}
}

func softVector(i int) irq.Vector { return irq.Vector{Source: "soft:test", Index: i} }

// raiser is somebody with a doorbell, who is nobody's process.
var raiser = irq.Holder{Kind: irq.HolderUnknown}

func (b *bench) doorbell(v irq.Vector, h irq.Holder) int {
	b.t.Helper()
	fd, err := b.source.Doorbell(v, h)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { kernel.Close(fd) })
	return fd
}

func ring(t testing.TB, bell int, count uint64) {
	t.Helper()
	if err := kernel.Send(bell, record.AppendBell(nil, count)); err != nil {
		t.Fatal(err)
	}
}

func TestDoorbellReachesTheHolder(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	g := b.connect(softVector(3))
	bell := b.doorbell(softVector(3), raiser)
	for i := range uint64(3) {
		ring(t, bell, i+1)
		r := g.next()
		if r.Time <= 0 || r.Time > kernel.Monotonic() {
			t.Errorf("time %d is not of the kernel's monotonic clock", r.Time)
		}
		r.Time = 0
		want := record.Record{Generation: 1, Sequence: i + 1, Count: i + 1, Arrived: (i + 1) * (i + 2) / 2}
		if r != want {
			t.Errorf("got %+v, want %+v", r, want)
		}
	}
	if err := kernel.Send(bell, nil); err != nil {
		t.Fatal(err)
	}
	if r := g.next(); r.Count != 1 {
		t.Errorf("an empty record counts %d", r.Count)
	}
}

func TestTheSameRaiserHasOneDoorbell(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	one, two := b.doorbell(softVector(0), raiser), b.doorbell(softVector(0), raiser)
	if same, err := kernel.SameFile(one, syscall.Getpid(), two); err == nil && !same {
		t.Error("it got two")
	}
	if _, err := b.source.Doorbell(softVector(4), raiser); !errors.Is(err, irq.ErrInvalidParameter) {
		t.Errorf("out of range: %v", err)
	}
}

// What a raiser rings while nobody has the vector waits for its next holder, and the doorbell outlives holders.
func TestDoorbellSurvivesHandOver(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	bell := b.doorbell(softVector(0), raiser)
	for range 3 {
		g := b.connect(softVector(0))
		ring(t, bell, 1)
		for g.next().Count == 0 { // rung at first, in doubt (rule 9)
		}
		g.disconnect()
	}
}

func TestRule5NothingIsReadAfterDisconnect(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	for range 20 {
		g := b.connect(softVector(0))
		for range 100 {
			if err := b.source.Raise(softVector(0), 1); err != nil {
				t.Fatal(err)
			}
		}
		g.disconnect()
		g.ended()
		if err := b.source.Raise(softVector(0), 1); err != nil {
			t.Fatal(err)
		}
		g.ended()
	}
}

// A holder who does not read loses records, not interrupts: their number comes with the next.
func TestRule9FullQueueCoalesces(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	g := b.connect(softVector(0))
	const rings = 10_000
	for range rings {
		if err := b.source.Raise(softVector(0), 1); err != nil {
			t.Fatal(err)
		}
	}
	var total, records, last uint64
	for total < rings {
		r := g.next()
		total, records = total+r.Count, records+1
		if r.Sequence <= last || r.Arrived != total {
			t.Fatalf("after sequence %d and %d interrupts: %+v", last, total, r)
		}
		last = r.Sequence
	}
	if total != rings || records >= rings || last != rings {
		t.Errorf("%d interrupts in %d records, the last is %d", total, records, last)
	}
	if err := b.source.Raise(softVector(0), 1); err != nil {
		t.Fatal(err)
	}
	if r := g.next(); r.Count != 1 || r.Arrived != rings+1 {
		t.Errorf("afterwards: %+v", r)
	}
}

func TestRule8LevelWaitsForAllSharers(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4("trigger", "level"))
	one, two := b.connect(softVector(0), share), b.connect(softVector(0), share)
	bell := b.doorbell(softVector(0), raiser)
	ring(t, bell, 1)
	r1, r2 := one.next(), two.next()
	if r1.Flags != record.Level || r2.Flags != record.Level || r1.Count != 1 || r2.Count != 1 {
		t.Errorf("got %+v and %+v", r1, r2)
	}
	ring(t, bell, 1)
	eventually(t, "the second ring has arrived", func() bool { return b.info(softVector(0)).Arrived == 2 })
	one.none()
	one.ack(r1, record.Handled)
	two.ack(record.Record{Generation: 7, Sequence: 1}, record.Handled) // another generation's
	two.ack(record.Record{Generation: 1, Sequence: 9}, record.Handled) // not delivered yet
	if err := kernel.Send(two.FD, []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	two.ack(r2, record.Handled)
	if r := one.next(); r.Count != 1 || r.Sequence != 2 {
		t.Errorf("after both had acknowledged: %+v", r)
	}
	two.next()
}

func (b *bench) info(v irq.Vector) irq.Info {
	b.t.Helper()
	i, err := b.registry.Lookup(v)
	if err != nil {
		b.t.Fatal(err)
	}
	return i
}

func TestUnhandledIsCountedOnEdges(t *testing.T) {
	b := openSource(t, soft4())
	g := b.connect(softVector(0))
	if err := b.source.Raise(softVector(0), 1); err != nil {
		t.Fatal(err)
	}
	g.ack(g.next(), record.Unhandled)
	eventually(t, "it is counted", func() bool { return b.info(softVector(0)).Unhandled == 1 })
}

// Who floods starves nobody, and what is rung is counted to the last.
func TestFloodersTakeTurns(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	flooded, quiet := b.connect(softVector(0)), b.connect(softVector(1))
	flood, bell := b.doorbell(softVector(0), raiser), b.doorbell(softVector(1), raiser)
	stop, stopped := make(chan struct{}), make(chan uint64)
	go func() {
		var rung uint64
		defer func() { stopped <- rung }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			if kernel.Send(flood, nil) == nil { // else its queue is full
				rung++
			}
		}
	}()
	for i := range uint64(200) {
		ring(t, bell, 1)
		if r := quiet.next(); r.Count != 1 || r.Sequence != i+1 {
			t.Errorf("ring %d: %+v", i, r)
		}
	}
	close(stop)
	rung := <-stopped
	for got := uint64(0); got < rung; {
		got = flooded.next().Arrived
		if got > rung {
			t.Errorf("%d came of %d", got, rung)
		}
	}
}

func TestSoftSettings(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings map[string]any
		want     string // part of the error, "" if there is none
	}{
		{"nothing said", nil, ""},
		{"numbers as the policy's parser gives them", map[string]any{"vectors": int64(1 << 24)}, ""},
		{"no vectors", map[string]any{"vectors": 0}, `"vectors" is 0`},
		{"too many", map[string]any{"vectors": 1<<24 + 1}, `a whole number from 1 to 16777216`},
		{"not a number", map[string]any{"vectors": "many"}, `"vectors" is many`},
		{"not true or false", map[string]any{"shareable": 1}, `"shareable" is 1`},
		{"an unknown trigger", map[string]any{"trigger": "rising"}, `one of edge, level`},
		{"an unknown key", map[string]any{"vektors": 4}, `"vektors" is unknown`},
	} {
		err := Lookup("soft").(Checker).Check(Config{Name: "soft:x", Settings: test.settings})
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, irq.ErrInvalidParameter) || !contains(err, test.want)) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// Raisers, holders and hand-overs at once: every ring is delivered to somebody, once.
func TestRingsAreNeitherLostNorDoubled(t *testing.T) {
	leakFree(t)
	b := openSource(t, soft4())
	const raisers, rings = 4, 2000
	done := make(chan error, raisers)
	for range raisers {
		bell := b.doorbell(softVector(0), raiser)
		go func() {
			for range rings {
				for {
					if err := kernel.Send(bell, nil); err == nil {
						break
					} else if err != syscall.EAGAIN {
						done <- err
						return
					}
				}
			}
			done <- nil
		}()
	}
	for range raisers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all have arrived", func() bool { return b.info(softVector(0)).Arrived == raisers*rings })
	if r := b.connect(softVector(0)).next(); r.Count != raisers*rings {
		t.Errorf("the next holder was told of %d", r.Count)
	}
}

func BenchmarkRaiseToStream(b *testing.B) {
	bench := openSource(b, soft4())
	g := bench.connect(softVector(0))
	var got atomic.Uint64
	go func() {
		buffer := make([]byte, 64)
		for {
			n, err := unix.Read(g.FD, buffer)
			if n == 0 || err != nil {
				return
			}
			r, _ := record.Decode(buffer[:n])
			got.Store(r.Arrived)
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		if err := bench.source.Raise(softVector(0), 1); err != nil {
			b.Fatal(err)
		}
	}
	g.conn.Disconnect(context.Background())
}

func BenchmarkDoorbellToStream(b *testing.B) {
	bench := openSource(b, soft4())
	g := bench.connect(softVector(0))
	bell := bench.doorbell(softVector(0), raiser)
	b.ReportAllocs()
	for b.Loop() {
		ring(b, bell, 1)
		g.next()
	}
}
