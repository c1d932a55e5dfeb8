package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/test/chaos/witness"
)

// Goals are what a run is to reach; it ends when it has.
type goals struct {
	calls, workers, keepers, clients int
	limit                            time.Duration // 0: none
}

// A plan is what one run does.
type plan struct {
	goals
	seed        uint64
	connections int // of the crowd; 0: as many as RLIMIT_NOFILE allows, up to 10,000
	hostile     int // peers; 0: none
	samples     int // of what is measured in quiet
	soak        time.Duration
	only        string
}

func main() {
	var err error
	if role := os.Getenv("CHAOS_ROLE"); role != "" {
		err = play(role)
	} else if err = apart(); err == nil {
		err = supervise(parse())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// parse reads the flags; SEED and FOR in the environment stand for -seed and -for.
func parse() (p plan) {
	short := flag.Bool("short", false, "the form of make test: some seconds")
	flag.IntVar(&p.calls, "calls", 1_000_000, "calls that the model has to judge")
	flag.IntVar(&p.workers, "workers", 500, "workers to kill")
	flag.IntVar(&p.keepers, "keepers", 50, "keepers to kill")
	flag.IntVar(&p.clients, "clients", 10_000, "clients to kill")
	flag.DurationVar(&p.limit, "for", 0, "end after so long, whatever was reached")
	flag.Uint64Var(&p.seed, "seed", uint64(time.Now().UnixNano()), "of all choices")
	flag.IntVar(&p.connections, "connections", 0, "of the crowd at a restart (default: as many as RLIMIT_NOFILE allows, up to 10,000)")
	flag.IntVar(&p.hostile, "hostile", 1000, "hostile peers beside whom connecting is measured")
	flag.IntVar(&p.samples, "samples", 2000, "of connecting in quiet")
	flag.DurationVar(&p.soak, "soak", 0, "instead of all that: look after so long whether memory, descriptors, goroutines and threads are where they were")
	flag.StringVar(&p.only, "only", "", "instead of all that: figures, load, hostile")
	flag.Parse()
	if *short {
		set := map[string]bool{}
		flag.Visit(func(f *flag.Flag) { set[f.Name] = true })
		for name, value := range map[string]string{"calls": "10000", "workers": "12", "keepers": "3", "clients": "40", "connections": "500", "hostile": "0", "samples": "300"} {
			if !set[name] {
				flag.Set(name, value)
			}
		}
	}
	for name, text := range map[string]string{"seed": os.Getenv("SEED"), "for": os.Getenv("FOR")} {
		if text != "" {
			if err := flag.Set(name, text); err != nil {
				fmt.Fprintln(os.Stderr, "chaos:", name, err)
				os.Exit(2)
			}
		}
	}
	return p
}

// apart starts this program again in a mount namespace of its own, in which a small file system can be mounted and filled,
// where that may be done.
func apart() error {
	if os.Geteuid() != 0 || os.Getenv("CHAOS_APART") != "" {
		return nil
	}
	p := exec.Command("/proc/self/exe", os.Args[1:]...)
	p.Env = append(os.Environ(), "CHAOS_APART=1")
	p.Stdin, p.Stdout, p.Stderr = os.Stdin, os.Stdout, os.Stderr
	p.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if err := p.Start(); err != nil {
		return nil // it may not; the disk is left as it is then
	}
	p.Wait() // its status says all
	os.Exit(p.ProcessState.ExitCode())
	return nil
}

// number is what the environment says.
func number(name string) uint64 {
	n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
	if err != nil {
		panic(name + ": " + err.Error()) // the supervisor sets it
	}
	return n
}

// play is the life of every process but the supervisor.
func play(role string) error {
	if role == "hostile" {
		return hostile(int(number("CHAOS_NUMBER")))
	}
	w, err := witness.Open(os.Getenv("CHAOS_FOLDER") + "/witness")
	if err != nil {
		return err
	}
	i, err := ivt.NewClient()
	if err != nil {
		return err
	}
	c := &client{Client: i, w: w, seed: number("CHAOS_SEED"), number: number("CHAOS_NUMBER"), round: 1 << 32}
	switch role {
	case "sentinel":
		c.sentinel(int(c.number))
	case "crowd":
		return c.crowd(int(c.number))
	}
	c.slot = int(number("CHAOS_SLOT"))
	if c.journal, err = openJournal(journalPath(os.Getenv("CHAOS_FOLDER"), c.number)); err != nil {
		return err
	}
	if files := number("CHAOS_FILES"); files > 0 {
		c.poor = true
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: files}); err != nil {
			return err
		}
	}
	c.run()
	return nil
}

func journalPath(folder string, n uint64) string { return fmt.Sprintf("%s/journal-%d", folder, n) }

// supervise makes one run.
func supervise(p plan) error {
	folder, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return err
	}
	c := &chaos{plan: p, folder: folder, r: rand.New(rand.NewPCG(p.seed, 0)), started: time.Now()}
	fmt.Printf("SEED=%d\n", p.seed)
	defer func() {
		c.end()
		os.RemoveAll(folder)
	}()
	if err := c.open(); err != nil {
		return err
	}
	return c.run()
}

func (c *chaos) run() error {
	steps := []struct {
		name string
		do   func() error
	}{{"figures", c.quiet}, {"hostile", c.besideHostile}, {"load", c.load}, {"anew", c.anew}}
	if c.soak > 0 {
		return c.soaking()
	}
	var failed error
	for _, s := range steps {
		if c.only == "" || c.only == s.name {
			if err := s.do(); err != nil {
				return errors.Join(failed, fmt.Errorf("%s: %w", s.name, err))
			}
		}
	}
	return c.verdict()
}

// within is a context that ends by itself.
func within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	context.AfterFunc(ctx, cancel)
	return ctx
}
