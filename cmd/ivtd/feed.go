package main

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/daemon"
	"github.com/ivtd/ivt/internal/doctor"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/page"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/irq"
)

// publicFeed is what the page of --listen shows: the public side of the registry, and the kernel's interrupts without processes.
type publicFeed struct {
	public *daemon.Public
	server *daemon.Server
	root   *host.Root
	next   time.Time // no picture before
}

const (
	mostListed = 10000 // vectors on the page if free ones are among them: more make no better picture, and cost every viewer
	mostEvents = 500   // of history
	leastPause = 200 * time.Millisecond
)

// Live is always true: ivtd is there.
func (f *publicFeed) Live() bool { return true }

// Picture reads the kernel's side and joins ours. However often it is asked for, pictures cost a tenth of a core. It is called from
// one goroutine.
func (f *publicFeed) Picture(ctx context.Context) (*picture.Picture, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Until(f.next)):
	}
	began := time.Now()
	defer func() { f.next = time.Now().Add(max(leastPause, 9*time.Since(began))) }()
	return f.picture(ctx)
}

func (f *publicFeed) picture(ctx context.Context) (*picture.Picture, error) {
	p, err := picture.Take(ctx, picture.From{Root: f.root, Parts: host.PartList | host.PartCounts | host.PartAffinity | host.PartSystem})
	if err != nil {
		return nil, err
	}
	p.Rows = slices.DeleteFunc(p.Rows, func(r picture.Row) bool { return !f.visible(&r) })
	for i := range p.Rows {
		p.Rows[i].Holders = daemon.Impersonal(p.Rows[i].Holders)
	}
	beyond := false
	p.Join(f.vectors(&beyond))
	if beyond {
		p.Blind = append(p.Blind, host.Blind{What: "free vectors", Why: "there are very many, and these are not shown here", Cure: "ivt list"})
	}
	p.Daemon = f.status()
	return p, nil
}

// visible asks the policy about every name of an interrupt of the kernel's.
func (f *publicFeed) visible(r *picture.Row) bool {
	for _, name := range append([]string{r.Name}, r.Aliases...) {
		if v, err := irq.ParseVector(name); err == nil && !f.public.Visible(v) {
			return false
		}
	}
	return true
}

// vectors are the first ones, as many as are bearable, and behind those all that are held. beyond says that some are left out.
func (f *publicFeed) vectors(beyond *bool) iter.Seq[irq.Info] {
	return func(yield func(irq.Info) bool) {
		shown := map[irq.Vector]bool{}
		for v := range f.public.List("", irq.Vector{}) {
			if *beyond = len(shown) == mostListed; *beyond {
				break
			}
			if shown[v.Vector] = true; !yield(v) {
				return
			}
		}
		if !*beyond {
			return
		}
		for v := range f.public.Held() {
			if !shown[v.Vector] && !yield(v) {
				return
			}
		}
	}
}

func (f *publicFeed) status() *ivt.Status {
	s := f.public.Stats()
	return &ivt.Status{Instance: f.server.Registry().Instance(), Vectors: s.Vectors, Connections: s.Connections, Orphans: s.Orphans, Waiting: s.Waiting, Sessions: f.server.Sessions(), Sequence: s.Sequence}
}

// Watch follows events.
func (f *publicFeed) Watch(ctx context.Context, since uint64) iter.Seq2[page.Update, error] {
	return func(yield func(page.Update, error) bool) {
		for e, lost := range f.public.Watch(ctx, since) {
			u := page.Update{Update: ivt.Update{Lost: lost}}
			if e.Kind != "" {
				u.Event = &e
			}
			if !yield(u, nil) {
				return
			}
		}
	}
}

// History returns the past of a vector, of all for "".
func (f *publicFeed) History(_ context.Context, vector string) ([]irq.Event, error) {
	var v irq.Vector
	if vector != "" {
		var err error
		if v, err = irq.ParseVector(vector); err != nil {
			return nil, err
		}
		if !f.public.Visible(v) {
			return nil, nil
		}
	}
	return f.public.History(v, mostEvents)
}

// Findings are not for everybody: they quote the kernel's log and processes.
func (f *publicFeed) Findings(context.Context) (*doctor.Report, error) {
	return &doctor.Report{Machine: "this machine", Findings: []*doctor.Finding{}, Unseen: []doctor.Unseen{{What: "what is wrong", Why: "findings quote the kernel's log and processes, which not everybody may see", Cure: "on the machine: ivt doctor"}}}, nil
}
