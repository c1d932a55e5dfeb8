package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// A word is what a driver process is told and answers, one JSON object a line.
type word struct {
	Do, Vector, Connection, Token string        `json:",omitempty"`
	Vectors                       []string      `json:",omitempty"`
	Shared, Wait                  bool          `json:",omitempty"`
	Grace                         time.Duration `json:",omitempty"`
	PID                           int           `json:",omitempty"`
	Count, Sequence, Arrived      uint64        `json:",omitempty"`
	Rang                          bool          `json:",omitempty"`
	Failure                       string        `json:",omitempty"`
}

// drive is a driver process.
func drive() {
	client, err := ivt.NewClient()
	if err != nil {
		panic(err)
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var c *ivt.Connection
	for {
		var w word
		if in.Decode(&w) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		a, err := obey(ctx, client, &c, w)
		cancel()
		if err != nil {
			a.Failure = err.Error()
		}
		out.Encode(a)
	}
}

func obey(ctx context.Context, client *ivt.Client, c **ivt.Connection, w word) (a word, err error) {
	switch w.Do {
	case "connect":
		options := []ivt.Option{ivt.Grace(w.Grace)}
		if w.Shared {
			options = append(options, ivt.Shared())
		}
		if w.Wait {
			options = append(options, ivt.Wait())
		}
		*c, err = client.ConnectAll(ctx, w.Vectors, options...)
	case "resume":
		*c, err = client.Resume(ctx, w.Connection, w.Token)
	case "wait":
		i, err := (*c).Wait(ctx)
		return word{Vector: i.Vector.String(), Count: i.Count, Sequence: i.Sequence, Arrived: i.Arrived, Rang: i.Rang}, err
	case "storm":
		return storm(ctx, client, *c)
	case "mask":
		return a, (*c).Mask(ctx, (*c).Vectors()[0])
	case "unmask":
		return a, (*c).Unmask(ctx, (*c).Vectors()[0])
	case "successor":
		return a, (*c).SetSuccessor(ctx, w.PID)
	case "disconnect":
		return a, (*c).Disconnect(ctx)
	}
	if err == nil {
		a = word{Connection: (*c).ID(), Token: (*c).Token()}
	}
	return a, err
}

// A drv is the test's end of a driver process.
type drv struct {
	t   *testing.T
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
}

func (r *running) driver() *drv {
	r.t.Helper()
	d := &drv{t: r.t, cmd: exec.Command("/proc/self/exe")}
	d.cmd.Env = append(os.Environ(), "IVTD_TEST_DRIVER=1", "IVT_SOCKET="+r.socket)
	d.cmd.Stderr = os.Stderr
	stdin, err := d.cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	d.in, d.out = json.NewEncoder(stdin), json.NewDecoder(stdout)
	if err := d.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(d.kill)
	return d
}

func (d *drv) pid() int { return d.cmd.Process.Pid }

func (d *drv) kill() {
	d.cmd.Process.Kill()
	d.cmd.Wait()
}

func (d *drv) say(w word) {
	d.t.Helper()
	if err := d.in.Encode(w); err != nil {
		d.t.Fatal(err)
	}
}

func (d *drv) hear() word {
	d.t.Helper()
	var a word
	if err := d.out.Decode(&a); err != nil {
		d.t.Fatalf("driver %d: %v", d.pid(), err)
	}
	return a
}

// do must succeed.
func (d *drv) do(w word) word {
	d.t.Helper()
	d.say(w)
	a := d.hear()
	if a.Failure != "" {
		d.t.Fatalf("%s: %s", w.Do, a.Failure)
	}
	return a
}

func (d *drv) connect(vectors ...string) word {
	d.t.Helper()
	return d.do(word{Do: "connect", Vectors: vectors})
}

// interrupt waits for one that is not a ring.
func (d *drv) interrupt() word {
	d.t.Helper()
	for {
		if a := d.do(word{Do: "wait"}); a.Count > 0 {
			return a
		}
	}
}

// rung waits for the ring that follows a restart (rule 9).
func (d *drv) rung() {
	d.t.Helper()
	for a := d.do(word{Do: "wait"}); !a.Rang; a = d.do(word{Do: "wait"}) {
	}
}

func (r *running) raise(vector string, n uint64) {
	r.t.Helper()
	if err := r.client().Raise(limit(r.t), vector, n); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) info(vector string) irq.Info {
	r.t.Helper()
	i, err := r.client().Lookup(limit(r.t), vector)
	if err != nil {
		r.t.Fatal(err)
	}
	return i
}

func (r *running) heldBy(vector string, d *drv) {
	r.t.Helper()
	if i := r.info(vector); len(i.Holders) != 1 || i.Holders[0].PID != d.pid() {
		r.t.Fatalf("%s is held by %v, not by %d", vector, i.Holders, d.pid())
	}
}
