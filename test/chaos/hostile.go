package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/ivtd/ivt"
)

// Hostile peers, by how they are: each process is of one kind, and has so many sessions.
var hostileKinds = []struct {
	name  string
	share int // of 100
	one   func(socket string, r *rand.Rand) error
}{
	{"hold a session and say nothing", 30, holdIdle},
	{"stop in the middle of a message", 20, sayHalf},
	{"send garbage", 15, sendGarbage},
	{"ask without end and never read", 15, neverRead},
	{"flood with calls", 10, flood},
	{"connect in a loop", 10, connectLoop},
}

// hostile is the life of a process of n hostile peers. Each begins again when ivtd has ended it.
func hostile(n int) error {
	socket := os.Getenv("IVT_SOCKET")
	kind := hostileKinds[number("CHAOS_KIND")]
	for i := range n {
		r := rand.New(rand.NewPCG(number("CHAOS_SEED"), uint64(i)))
		go func() {
			for {
				if err := kind.one(socket, r); errors.Is(err, syscall.EMFILE) {
					panic(err) // then fewer would be there than is said
				}
			}
		}()
	}
	fmt.Println("ready")
	select {}
}

func dial(socket string) (*net.UnixConn, error) {
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
}

// untilEnded waits until the other side hangs up.
func untilEnded(c *net.UnixConn) error {
	_, err := c.Read(make([]byte, 4096))
	for err == nil {
		_, err = c.Read(make([]byte, 4096))
	}
	return err
}

func holdIdle(socket string, _ *rand.Rand) error {
	c, err := dial(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	return untilEnded(c)
}

func sayHalf(socket string, r *rand.Rand) error {
	c, err := dial(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	text := `{"method":"io.ivtd.interrupts.Connect","parameters":{"vectors":["soft:crowd/` + strings.Repeat("1", 1+r.IntN(4000))
	if _, err := c.Write([]byte(text)); err != nil {
		return err
	}
	return untilEnded(c)
}

func sendGarbage(socket string, r *rand.Rand) error {
	c, err := dial(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	garbage := make([]byte, 1+r.IntN(2000))
	for i := range garbage {
		garbage[i] = byte(r.Uint32())
	}
	if _, err := c.Write(append(garbage, 0)); err != nil {
		return err
	}
	untilEnded(c)
	return pace(r)
}

func neverRead(socket string, r *rand.Rand) error {
	c, err := dial(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	text := []byte(strings.Repeat(`{"method":"io.ivtd.interrupts.List","parameters":{}}`+"\x00", 64))
	for err == nil {
		_, err = c.Write(text)
	}
	return err
}

func flood(socket string, r *rand.Rand) error {
	c, err := dial(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	text := []byte(`{"method":"io.ivtd.interrupts.Connect","parameters":{"vectors":["soft:watched/0"]}}` + "\x00")
	buffer := make([]byte, 8192)
	for err == nil {
		if _, err = c.Write(text); err == nil {
			_, err = c.Read(buffer)
		}
	}
	return err
}

func connectLoop(socket string, r *rand.Rand) error {
	c, err := dial(socket)
	if err != nil {
		return err
	}
	return errors.Join(c.Close(), pace(r))
}

// pace keeps a kind that costs its own processes more than ivtd from being only that.
func pace(r *rand.Rand) error {
	time.Sleep(time.Duration(1+r.IntN(20)) * time.Millisecond)
	return nil
}

// besideHostile measures connecting without hostile peers, beside them, and while they are busy with another ivtd: that is what they
// take of the machine, whatever ivtd does. It is done in turns, so that what else the machine does falls on all.
func (c *chaos) besideHostile() error {
	if c.hostile == 0 {
		return nil
	}
	other, err := c.another()
	if err != nil {
		return err
	}
	defer other.stop()
	var without, with, elsewhere []time.Duration
	for range 3 {
		for _, m := range []struct {
			into   *[]time.Duration
			target *target
		}{{&without, nil}, {&with, &target{c.folder + "/s", c.client, nil}}, {&elsewhere, other}} {
			times, err := c.withHostile(c.samples, m.target)
			if err != nil {
				return err
			}
			*m.into = append(*m.into, times...)
		}
	}
	fmt.Printf("in quiet: connect + disconnect   %s of %d\n", quantiles(without), len(without))
	fmt.Printf("beside %d hostile peers        %s of %d\n", c.hostile, quantiles(with), len(with))
	fmt.Printf("while they are at another ivtd   %s of %d\n", quantiles(elsewhere), len(elsewhere))
	fmt.Printf("p99 beside them / without        %.1f (goal: 3)\n", float64(p99(with))/float64(p99(without)))
	fmt.Printf("p99 elsewhere / without          %.1f (what they take of the processors, whoever serves them)\n", float64(p99(elsewhere))/float64(p99(without)))
	return nil
}

// A target is an ivtd that hostile peers go for.
type target struct {
	socket  string
	client  *ivt.Client
	process *exec.Cmd
}

// another starts an ivtd beside that which is tested, without a store.
func (c *chaos) another() (*target, error) {
	t := &target{socket: c.folder + "/other"}
	var err error
	if t.client, err = ivt.NewClient(ivt.Socket(t.socket)); err != nil {
		return nil, err
	}
	t.process = exec.Command(ivtdPath(), "--socket", t.socket, "--config", c.folder+"/ivtd.toml", "--log-level", "error", "--history", c.disk+"/other.db")
	t.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := t.process.Start(); err != nil {
		return nil, err
	}
	if err := t.sessions(1); err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

func (t *target) stop() {
	t.process.Process.Signal(syscall.SIGTERM)
	t.process.Wait()
}

// withHostile measures connecting while hostile peers are at a target, if there is one.
func (c *chaos) withHostile(samples int, at *target) ([]time.Duration, error) {
	if at == nil {
		return c.connecting(samples)
	}
	var all []*exec.Cmd
	defer func() {
		for _, p := range all {
			p.Process.Kill()
			p.Wait()
		}
	}()
	for kind, k := range hostileKinds {
		if only := os.Getenv("CHAOS_HOSTILE"); only != "" && !strings.Contains(only, fmt.Sprint(kind)) {
			continue
		}
		p, err := c.startHostile(kind, c.hostile*k.share/100, at.socket)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if err := at.sessions(c.hostile / 20); err != nil {
		return nil, err
	}
	return c.connecting(samples)
}

// sessions waits until there are so many.
func (t *target) sessions(n int) error {
	var last int
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		var s ivt.Status
		if s, err = t.client.Status(within(patience)); err == nil {
			if last = s.Sessions; last >= n {
				return nil
			}
		}
	}
	return fmt.Errorf("%d hostile sessions of %d at %s: %w", last, n, t.socket, err)
}

// startHostile starts a process of another user's, where that can be: it is subject to that user's limits.
func (c *chaos) startHostile(kind, n int, socket string) (*exec.Cmd, error) {
	p := exec.Command("/proc/self/exe")
	p.Env = append(os.Environ(), "CHAOS_ROLE=hostile", fmt.Sprint("CHAOS_KIND=", kind), fmt.Sprint("CHAOS_NUMBER=", n),
		fmt.Sprint("CHAOS_SEED=", c.seed), "IVT_SOCKET="+socket, "GOMAXPROCS=1")
	p.Stderr = os.Stderr
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		p.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	out, err := p.StdoutPipe()
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		return nil, err
	}
	_, err = out.Read(make([]byte, 8)) // ready
	return p, err
}
