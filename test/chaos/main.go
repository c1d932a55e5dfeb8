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
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ivtd/ivt"
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
	after, err := c.workers(length*3/4, checked)
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
	if err := c.keepers(length / 4); err != nil {
		return err
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
