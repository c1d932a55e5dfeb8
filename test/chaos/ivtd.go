package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/test/chaos/witness"
)

// A chaos is one run.
type chaos struct {
	plan
	folder  string
	disk    string // where the history is; a small file system of its own, if that can be
	small   bool   // it is one
	r       *rand.Rand
	started time.Time
	w       *witness.Witness
	client  *ivt.Client
	store   *store // nil: nobody keeps anything for the keeper
	ivtd    *exec.Cmd
	ended   <-chan error // of ivtd

	permanent []*exec.Cmd // sentinels
	actors    [slots]*actor
	next      uint64
	old       []*actor // dead ones with journals that are not read yet
	round     uint64
	checks    sync.WaitGroup

	mu sync.Mutex // around gaps and counts, which checks change
	counts
	gaps []gap
}

// open makes what all phases need.
func (c *chaos) open() (err error) {
	c.disk = c.folder + "/disk"
	if err := os.Mkdir(c.disk, 0o700); err != nil {
		return err
	}
	if os.Getenv("CHAOS_APART") != "" {
		c.small = syscall.Mount("tmpfs", c.disk, "tmpfs", 0, "size=4m,mode=0700") == nil
	}
	if err := os.Chmod(c.folder, 0o711); err != nil {
		return err
	}
	if c.w, err = witness.Open(c.folder + "/witness"); err != nil {
		return err
	}
	if c.store, err = openStore(c.folder); err != nil {
		return err
	}
	if c.client, err = ivt.NewClient(ivt.Socket(c.folder + "/s")); err != nil {
		return err
	}
	return c.serve()
}

// policy is of all phases, so that all are about the same ivtd.
func policyText() string {
	var b strings.Builder
	for set := range rounds {
		fmt.Fprintf(&b, "[soft.set%d]\nvectors = %d\n", set, perRound)
	}
	b.WriteString("[soft.watched]\nvectors = 4\n[soft.shared]\nvectors = 4\nshareable = true\n[soft.crowd]\nvectors = 20000\n" +
		"[[allow]]\nvectors = [\"soft:*\"]\nuser = \"*\"\nshare = true\n[limits]\nconnections_per_user = 0\n")
	return b.String()
}

// serve starts ivtd and waits until it answers.
func (c *chaos) serve() error {
	policy := c.folder + "/ivtd.toml"
	if err := os.WriteFile(policy, []byte(policyText()), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(c.folder+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// Without a store, the lock is the former worker's until the last of its threads is gone.
	for end := time.Now().Add(patience); time.Now().Before(end); {
		p := exec.Command(ivtdPath(), "--socket", c.folder+"/s", "--config", policy, "--log-level", "info", "--history", c.disk+"/history.db")
		p.Stderr = log
		p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		if c.store != nil {
			c.store.pass(p)
		}
		if err := p.Start(); err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- p.Wait() }()
		answered := make(chan error, 1)
		go func() { _, err := c.status(); answered <- err }()
		select {
		case <-ended:
			if c.store != nil {
				return fmt.Errorf("ivtd ended at once:\n%s", c.log())
			}
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
	c.ivtd = nil
}

func ivtdPath() string {
	if p := os.Getenv("IVTD"); p != "" {
		return p
	}
	return "bin/ivtd"
}

// log is the end of ivtd's.
func (c *chaos) log() string {
	b, _ := os.ReadFile(c.folder + "/log")
	return string(b[max(0, len(b)-4000):])
}

// status waits until ivtd answers.
func (c *chaos) status() (s ivt.Status, err error) {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if s, err = c.client.Status(within(patience)); err == nil {
			return s, nil
		}
		time.Sleep(time.Millisecond)
	}
	return s, fmt.Errorf("ivtd does not answer: %w\n%s", err, c.log())
}

// start begins another process of this program.
func (c *chaos) start(role string, n int, more ...string) *exec.Cmd {
	p := exec.Command("/proc/self/exe")
	p.Env = append(os.Environ(), "CHAOS_ROLE="+role, "CHAOS_FOLDER="+c.folder, "CHAOS_NUMBER="+strconv.Itoa(n),
		"CHAOS_SEED="+strconv.FormatUint(c.seed, 10), "IVT_SOCKET="+c.folder+"/s", "GOMAXPROCS=1")
	p.Env = append(p.Env, more...)
	p.Stderr = os.Stderr
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.Start(); err != nil {
		panic(err) // nothing can be tested then
	}
	return p
}

// gone waits for the end of a worker, as systemd does before it starts a service again.
func gone(pid int) {
	for witness.Alive(pid) {
		time.Sleep(100 * time.Microsecond)
	}
}

// killKeeper kills the keeper, with whom its worker dies, and starts another one: with what the store kept, if there is one.
func (c *chaos) killKeeper() error {
	s, err := c.status()
	if err != nil {
		return err
	}
	from := kernel.Monotonic()
	c.stop()
	gone(s.PID)
	if c.store != nil {
		if err := c.store.settle(); err != nil {
			return err
		}
	}
	if err := c.serve(); err != nil {
		return err
	}
	c.noteGap(from, noKeeper)
	return nil
}

// killWorker kills the worker and waits until the next one answers.
func (c *chaos) killWorker() error {
	s, err := c.status()
	if err != nil {
		return err
	}
	from := kernel.Monotonic()
	syscall.Kill(s.PID, syscall.SIGKILL)
	if err := c.replaced(s.PID); err != nil {
		return err
	}
	c.noteGap(from, noWorker)
	return nil
}

// replaced waits until another worker than pid answers.
func (c *chaos) replaced(pid int) error {
	for {
		s, err := c.status()
		if err != nil || s.PID != pid {
			return err
		}
	}
}

func (c *chaos) noteGap(from int64, kind gapKind) {
	to := kernel.Monotonic()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gaps = append(c.gaps, gap{from, to, kind})
	switch kind {
	case noKeeper:
		c.keeperKills++
		c.keeperGaps = append(c.keeperGaps, time.Duration(to-from))
	case noWorker:
		c.workerKills++
		c.workerGaps = append(c.workerGaps, time.Duration(to-from))
	}
}

func (c *chaos) end() {
	c.checks.Wait()
	for _, a := range c.actors {
		if a != nil {
			a.kill()
		}
	}
	for _, p := range c.permanent {
		p.Process.Kill()
		p.Wait()
	}
	if c.ivtd != nil {
		c.stop()
	}
	if c.store != nil {
		c.store.close()
	}
	if c.small {
		syscall.Unmount(c.disk, syscall.MNT_DETACH)
	}
}
