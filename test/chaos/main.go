// Command chaos runs many client processes against one ivtd, kills whatever can be killed, and checks what must hold all
// the same. SEED repeats a run's choices, FOR is its length; "short" is the form for make test.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/kernel"
)

func main() {
	var err error
	if role := os.Getenv("CHAOS_ROLE"); role != "" {
		err = clientMain(role)
	} else {
		err = supervise()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func clientMain(role string) error {
	w, err := openWitness(os.Getenv("CHAOS_FOLDER") + "/witness")
	if err != nil {
		return err
	}
	i, err := ivt.NewClient()
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(os.Getenv("CHAOS_NUMBER"))
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		return err
	}
	c := &client{Client: i, w: w, r: rand.New(rand.NewPCG(seed, uint64(n)))}
	switch role {
	case "sentinel":
		c.sentinel(n)
	case "checked":
		f, err := os.Create(fmt.Sprintf("%s/history-%d", os.Getenv("CHAOS_FOLDER"), n))
		if err != nil {
			return err
		}
		c.checked(n, json.NewEncoder(f))
		return f.Close()
	case "crowd":
		return c.crowd(n)
	}
	c.run()
	return nil
}

// A chaos is one run.
type chaos struct {
	folder string
	seed   uint64
	r      *rand.Rand
	w      *witness
	client *ivt.Client
	ivtd   *exec.Cmd
	ended  <-chan error // of ivtd

	mu      sync.Mutex
	clients map[int]*exec.Cmd // those that may be killed, by number
	next    int
	gaps    []gap
	figures figures
}

type figures struct {
	workerKills, keeperKills, clientKills, stops, missedWakes, wakes int
	slowestGap                                                       time.Duration
}

func supervise() error {
	length := 20 * time.Second
	if text := os.Getenv("FOR"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		length = d
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return err
		}
		seed = n
	}
	folder, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	c := &chaos{folder: folder, seed: seed, r: rand.New(rand.NewPCG(seed, 0)), clients: map[int]*exec.Cmd{}}
	fmt.Printf("SEED=%d FOR=%v\n", seed, length)
	defer c.end()
	return c.run(length)
}

func (c *chaos) run(length time.Duration) (err error) {
	if c.w, err = openWitness(c.folder + "/witness"); err != nil {
		return err
	}
	if c.client, err = ivt.NewClient(ivt.Socket(c.folder + "/s")); err != nil {
		return err
	}
	if err := c.serve(); err != nil {
		return err
	}
	var permanent []*exec.Cmd
	for n := range sentinels {
		permanent = append(permanent, c.start("sentinel", n))
	}
	var checked []*exec.Cmd
	for n := range 3 {
		checked = append(checked, c.start("checked", n+1))
	}
	defer func() {
		for _, p := range append(permanent, checked...) {
			p.Process.Kill()
			p.Wait()
		}
	}()
	before, err := c.settled()
	if err != nil {
		return err
	}
	for range 8 {
		c.add()
	}
	// Histories are of one registry: only its worker is killed. The keeper is killed in the second part.
	for end := time.Now().Add(length * 3 / 4); time.Now().Before(end); {
		if err := c.step(); err != nil {
			return err
		}
	}
	epoch := c.w.word(atEpoch).Swap(0)
	for _, p := range checked {
		p.Wait()
	}
	c.w.word(atEpoch).Store(epoch)
	c.killClients()
	after, err := c.settled()
	if err != nil {
		return err
	}
	operations, result, err := check(c.folder, c.gaps)
	if err != nil {
		return err
	}
	releases, err := c.releases(50)
	if err != nil {
		return err
	}
	for range 8 {
		c.add()
	}
	for end := time.Now().Add(length / 4); time.Now().Before(end) || c.figures.keeperKills < 2; {
		if err := c.killKeeper(); err != nil {
			return err
		}
		for range 3 {
			if err := c.step(); err != nil {
				return err
			}
		}
	}
	c.killClients()
	restart, err := c.crowded()
	if err != nil {
		return err
	}
	return c.report(operations, result, before, after, releases, restart)
}

// serve starts ivtd and waits until it answers.
func (c *chaos) serve() error {
	policy := c.folder + "/ivtd.toml"
	text := "[soft.chaos]\nvectors = 64\n[soft.checked]\nvectors = 3\n[soft.watched]\nvectors = 4\n[soft.shared]\nvectors = 4\nshareable = true\n[soft.crowd]\nvectors = 20000\n[limits]\nconnections_per_user = 0\n"
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(c.folder+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c.w.word(atEpoch).Add(1)
	start := func() *exec.Cmd {
		p := exec.Command(ivtdPath(), "--socket", c.folder+"/s", "--config", policy, "--log-level", "warn", "--history", c.folder+"/history.db")
		p.Stderr = log
		return p
	}
	// The lock is the former worker's until the last of its threads is gone.
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		p := start()
		if err := p.Start(); err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- p.Wait() }()
		answered := make(chan error, 1)
		go func() { _, err := c.status(); answered <- err }()
		select {
		case <-ended:
			continue
		case err := <-answered:
			c.ivtd, c.ended = p, ended
			return err
		}
	}
	return errors.New("ivtd cannot be started")
}

// stop kills the keeper.
func (c *chaos) stop() {
	c.ivtd.Process.Kill()
	<-c.ended
}

func ivtdPath() string {
	if p := os.Getenv("IVTD"); p != "" {
		return p
	}
	return "bin/ivtd"
}

// status waits until ivtd answers.
func (c *chaos) status() (s ivt.Status, err error) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if s, err = c.client.Status(within(20 * time.Second)); err == nil {
			return s, nil
		}
		time.Sleep(time.Millisecond)
	}
	log, _ := os.ReadFile(c.folder + "/log")
	return s, fmt.Errorf("ivtd does not answer: %w\n%s", err, log)
}

func (c *chaos) start(role string, n int) *exec.Cmd {
	p := exec.Command("/proc/self/exe")
	p.Env = append(os.Environ(), "CHAOS_ROLE="+role, "CHAOS_FOLDER="+c.folder, "CHAOS_NUMBER="+strconv.Itoa(n),
		"SEED="+strconv.FormatUint(c.seed, 10), "IVT_SOCKET="+c.folder+"/s", "GOMAXPROCS=2")
	p.Stderr = os.Stderr
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.Start(); err != nil {
		panic(err) // nothing can be tested then
	}
	return p
}

func (c *chaos) add() {
	c.next++
	c.clients[c.next] = c.start("client", 1000+c.next)
}

// step kills one thing and looks whether all is well afterwards.
func (c *chaos) step() error {
	for range 1 + c.r.IntN(3) {
		c.disturb()
	}
	// Rings go on until right before the kill, during it, and once after: the last must be seen.
	for n := range sentinels {
		c.ring(n)
	}
	if err := c.killWorker(); err != nil {
		return err
	}
	return c.wakes()
}

// disturb kills a client, or stops one for a while.
func (c *chaos) disturb() {
	for n, p := range c.clients { // any: which one is left to the map, when and what to the seed
		if c.r.IntN(6) == 0 {
			c.figures.stops++
			p.Process.Signal(syscall.SIGSTOP)
			time.AfterFunc(20*time.Millisecond, func() { p.Process.Signal(syscall.SIGCONT) })
			return
		}
		c.figures.clientKills++
		p.Process.Kill()
		p.Wait()
		delete(c.clients, n)
		c.add()
		return
	}
}

func (c *chaos) ring(n int) {
	c.w.word(atRung + n).Add(1)
	c.client.Raise(within(time.Second), watched(n), 1) // across a kill it is ambiguous: the ring after the gap is what counts
}

func (c *chaos) killWorker() error {
	s, err := c.status()
	if err != nil {
		return err
	}
	var ringing sync.WaitGroup
	ringing.Go(func() { c.ring(c.r.IntN(sentinels)) })
	from := kernel.Monotonic()
	syscall.Kill(s.PID, syscall.SIGKILL)
	for now := s; now.PID == s.PID; {
		if now, err = c.status(); err != nil {
			return err
		}
	}
	to := kernel.Monotonic()
	ringing.Wait()
	c.gaps = append(c.gaps, gap{from, to})
	c.figures.workerKills++
	c.figures.slowestGap = max(c.figures.slowestGap, time.Duration(to-from))
	return nil
}

// wakes waits until every sentinel has been woken after the last ring, whether or not that was lost with the worker.
func (c *chaos) wakes() error {
	for n := range sentinels {
		c.figures.wakes++
		end := time.Now().Add(10 * time.Second)
		for c.w.word(atSeen+n).Load() < c.w.word(atRung+n).Load() && time.Now().Before(end) {
			time.Sleep(100 * time.Microsecond)
		}
		if seen, rung := c.w.word(atSeen+n).Load(), c.w.word(atRung+n).Load(); seen < rung {
			c.figures.missedWakes++
			fmt.Fprintf(os.Stderr, "MISSED WAKE: sentinel %d saw ring %d of %d\n", n, seen, rung)
		}
	}
	return nil
}

func (c *chaos) killKeeper() error {
	s, err := c.status()
	if err != nil {
		return err
	}
	// From here on holders of the former registry hold nothing, when they have noticed or not.
	c.stop()
	for alive(s.PID) { // the worker dies with its keeper, and the lock with the worker
		time.Sleep(100 * time.Microsecond)
	}
	c.figures.keeperKills++
	if err := c.serve(); err != nil {
		return err
	}
	for n := range sentinels { // each has to have its vector again before a ring is for it
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if i, err := c.client.Lookup(within(time.Second), watched(n)); err == nil && len(i.Holders) == 1 {
				break
			}
		}
	}
	return nil
}

func (c *chaos) killClients() {
	for n, p := range c.clients {
		p.Process.Kill()
		p.Wait()
		delete(c.clients, n)
	}
}

func (c *chaos) end() {
	c.killClients()
	if c.ivtd != nil {
		c.stop()
	}
}

// report prints the figures, and is an error if one of them is a violation.
func (c *chaos) report(operations int, result porcupine.CheckResult, before, after measure, releases, restart string) error {
	w, f := c.w, c.figures
	log, _ := os.ReadFile(filepath.Join(c.folder, "log"))
	fmt.Printf("operations of all clients        %d\n", w.word(atOps).Load())
	fmt.Printf("operations checked by the model  %d: %v\n", operations, result)
	fmt.Printf("double holders by the witness    %d\n", w.word(atDouble).Load())
	fmt.Printf("errors that nobody may see       %d\n", w.word(atFailed).Load())
	fmt.Printf("killed: worker %d, keeper %d, clients %d; stopped: %d\n", f.workerKills, f.keeperKills, f.clientKills, f.stops)
	fmt.Printf("final wakes                      %d, missed %d\n", f.wakes, f.missedWakes)
	fmt.Printf("slowest gap under load           %v\n", f.slowestGap.Round(time.Millisecond))
	fmt.Println(releases)
	fmt.Println(restart)
	fmt.Printf("before %v\nafter  %v\n", before, after)
	fmt.Printf("log of ivtd                      %d bytes\n", len(log))
	if result != porcupine.Ok || w.word(atDouble).Load() > 0 || w.word(atFailed).Load() > 0 || f.missedWakes > 0 {
		return errors.New("what must hold did not")
	}
	return nil
}
