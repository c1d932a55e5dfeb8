//go:build linux

package source

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// wakeTrials is how many changes a run makes for each type, few enough for a busy host; `-count 200` makes ten thousand, each run
// with delays of its own.
const wakeTrials = 50

// wakeRuns numbers the runs: it is their seed.
var wakeRuns atomic.Uint64

// The final wake: whatever is handed over, parked, resumed or adopted while interrupts arrive at random times, after the last
// interrupt the present holder is woken at least once. So a driver that looks at its device whenever it is woken leaves none
// unserved: that is what the device is asked after each trial.
func TestVMRule9FinalWake(t *testing.T) {
	for _, test := range []struct {
		id, kind string
		index    int
		shared   bool
	}{{"edu0", "msi", 0, false}, {"nic0", "msix", 3, false}, {"edu0", "intx", 0, false}, {"edu0", "intx", 0, true}} {
		name := test.kind
		if test.shared {
			name += " shared"
		}
		t.Run(name, func(t *testing.T) {
			asBefore(t)
			keep := newMemoryKeep(t)
			settings := map[string]any{"interrupts": test.kind}
			b, address := openPCI(t, test.id, settings, func(c *Config) { c.Keep = keep })
			var side hardware
			if test.id == "nic0" {
				side = nicHardware(guest.OpenE1000e(t, address), test.index)
			} else {
				side = eduHardware(t, address)
			}
			w := &wakeTest{t: t, b: b, side: side, v: b.vector(test.kind, test.index), shared: test.shared,
				config: Config{Name: b.attached.Name(), Settings: settings, Keep: keep}}
			w.run()
		})
	}
}

type wakeTest struct {
	t      *testing.T
	b      *bench
	side   hardware
	v      irq.Vector
	shared bool
	config Config
	driver *wakeDriver
	worst  time.Duration
	kinds  [3]int
}

func (w *wakeTest) run() {
	seed := wakeRuns.Add(1)
	random := rand.New(rand.NewPCG(seed, seed))
	w.connect()
	for trial := range wakeTrials {
		raised := make(chan struct{})
		delays := []time.Duration{time.Duration(random.IntN(400)), time.Duration(random.IntN(400)), time.Duration(random.IntN(400))}
		go func() {
			defer close(raised)
			for _, d := range delays[:1+trial%3] {
				spin(d * time.Microsecond)
				w.side.raise()
			}
		}()
		kind := random.IntN(3)
		w.kinds[kind]++
		spin(time.Duration(random.IntN(200)) * time.Microsecond)
		[]func(){w.handOver, w.resume, w.adopt}[kind]()
		<-raised
		w.served(trial, kind)
	}
	w.driver.stop()
	w.t.Logf("seed %d: %d trials: %d handed over, %d parked and resumed, %d adopted; none unserved; the latest was served after %v",
		seed, wakeTrials, w.kinds[0], w.kinds[1], w.kinds[2], w.worst)
}

// served waits until the driver has served what the device raised.
func (w *wakeTest) served(trial, kind int) {
	w.t.Helper()
	start := time.Now()
	for w.side.raised() {
		if time.Since(start) > limit {
			w.t.Fatalf("trial %d (%d): slept through: the device has an interrupt that nobody served", trial, kind)
		}
		time.Sleep(20 * time.Microsecond)
	}
	w.worst = max(w.worst, time.Since(start))
}

func (w *wakeTest) connect() {
	q := irq.Request{Vectors: []irq.Vector{w.v}, Shared: w.shared, Grace: time.Minute}
	conn, err := w.b.registry.Connect(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	w.start(conn)
}

func (w *wakeTest) start(conn *irq.Connection) {
	w.driver = startDriver(w.b.grip(conn), w.side)
}

func (w *wakeTest) handOver() {
	former := w.driver
	former.g.disconnect()
	w.connect()
	former.stop()
}

// resume: the holder dies, its vector is parked, and it comes back.
func (w *wakeTest) resume() {
	conn := w.driver.g.conn
	w.driver.stop()
	conn.HolderDied()
	eventually(w.t, "it is parked", func() bool {
		err := conn.Resume(context.Background(), irq.Holder{Kind: irq.HolderProcess, PID: 1})
		if err != nil && !errors.Is(err, irq.ErrStillConnected) { // 764: the former holder's last handler still runs
			w.t.Fatal(err)
		}
		return err == nil
	})
	w.start(conn)
}

// adopt: ivtd is killed and comes back; the driver goes on as if nothing had been.
func (w *wakeTest) adopt() { w.b.restart(w.config, w.driver.g) }

// A wakeDriver is the simplest right driver: woken, it looks at its device and acknowledges what it finds.
type wakeDriver struct {
	g    *grip
	quit int // an eventfd
	done chan struct{}
}

func startDriver(g *grip, side hardware) *wakeDriver {
	quit, err := kernel.Eventfd()
	if err != nil {
		g.t.Fatal(err)
	}
	d := &wakeDriver{g, quit, make(chan struct{})}
	go d.run(side)
	return d
}

func (d *wakeDriver) run(side hardware) {
	defer close(d.done)
	for {
		p := []unix.PollFd{{Fd: int32(d.g.FD), Events: unix.POLLIN}, {Fd: int32(d.quit), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err == unix.EINTR {
			continue
		}
		if p[1].Revents != 0 {
			return
		}
		if !d.serve(side) {
			return
		}
	}
}

// serve is one wake-up. It reports false when the stream has ended.
func (d *wakeDriver) serve(side hardware) bool {
	if d.g.Delivery == irq.DeliveryEventfd {
		if n, _ := kernel.ReadEventfd(d.g.FD); n == 0 {
			return true
		}
		side.ack()
		if d.g.Unmask >= 0 {
			kernel.WriteEventfd(d.g.Unmask, 1)
		}
		return true
	}
	return d.serveRecord(side)
}

func (d *wakeDriver) stop() {
	kernel.WriteEventfd(d.quit, 1)
	<-d.done
	kernel.Close(d.quit)
}

// spin waits without letting go of the CPU, for times too short for a timer.
func spin(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}
