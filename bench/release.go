package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/ivtd/ivt"
)

var releaseRows = []row{
	{"kill -9 of the holder -> the next one connected, p99", goal{limit: 10e6}, (*bench).releasing},
}

// releases is how many deaths a sample has.
const releases = 20

// releasing takes the time from the signal to the reply that a waiting client gets.
func (b *bench) releasing() (ours, peer sample, err error) {
	socket, _, err := b.ivtd(64)
	if err != nil {
		return nil, nil, err
	}
	client, err := ivt.NewClient(ivt.Socket(socket))
	if err != nil {
		return nil, nil, err
	}
	b.later(func() { client.Close() })
	var all []float64
	return func() (float64, error) {
		var took []float64
		for range releases {
			v, err := b.release(client, socket)
			if err != nil {
				return 0, err
			}
			took = append(took, v)
		}
		if all = append(all, took...); len(all) == releases*(b.rounds+1) {
			b.note("p50 %s of %d", shown(median(all), ""), len(all))
		}
		return quantile(took, 0.99), nil
	}, nil, nil
}

func (b *bench) release(client *ivt.Client, socket string) (float64, error) {
	one := &bench{}
	defer one.cleanup()
	holder, err := one.start("holder", nil, "IVT_SOCKET="+socket)
	if err != nil {
		return 0, err
	}
	type granted struct {
		at  time.Time
		err error
	}
	next := make(chan granted, 1)
	go func() {
		c, err := client.Connect(context.Background(), "soft:bench/3", ivt.Wait())
		at := time.Now()
		if err == nil {
			err = c.Disconnect(context.Background())
		}
		next <- granted{at, err}
	}()
	for waiting := 0; waiting == 0; {
		info, err := client.Lookup(context.Background(), "soft:bench/3")
		if err != nil {
			return 0, err
		}
		waiting = info.Waiting
	}
	start := time.Now()
	if err := holder.Process.Kill(); err != nil {
		return 0, err
	}
	g := <-next
	return float64(g.at.Sub(start)), g.err
}

// hold connects and stays.
func hold() error {
	if _, err := ivt.Connect(context.Background(), "soft:bench/3"); err != nil {
		return err
	}
	fmt.Println("ready")
	time.Sleep(time.Minute)
	os.Exit(0)
	return nil
}
