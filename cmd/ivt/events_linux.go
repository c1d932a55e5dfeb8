package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/daemon/places"
	"github.com/ivtd/ivt/internal/history"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

func (a *app) watchCommand() *cobra.Command {
	var since uint64
	c := &cobra.Command{
		Use:     "watch [SOURCE]",
		GroupID: groupLook,
		Short:   "what happens, as it happens: connects, refusals, deaths, masks, storms",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			source := ""
			if len(args) == 1 {
				source = args[0]
				if _, err := irq.ParseSource(source); err != nil {
					return err // ivtd would wait for it to come
				}
			}
			client, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			return a.watch(c.Context(), client, source, since)
		},
	}
	c.Flags().Uint64Var(&since, "since", 0, "go on after event `NUMBER` instead of starting with what is")
	return c
}

func (a *app) watch(ctx context.Context, client *ivt.Client, source string, since uint64) error {
	for u, err := range client.Watch(ctx, source, since) {
		if ctx.Err() != nil {
			return nil // Ctrl-C is how a watch ends
		}
		if err != nil {
			return err
		}
		if a.json {
			if err := a.line(updateDocument(&u)); err != nil {
				return err
			}
			continue
		}
		if u.Lost > 0 {
			fmt.Fprintf(a.out, "%d events were missed\n", u.Lost)
		}
		for _, v := range u.Snapshot {
			if len(v.Holders) > 0 {
				fmt.Fprintf(a.out, "now: %s %s %s\n", v.Vector, v.State, term.Safe(v.Holders[0].String()))
			}
		}
		if u.Event != nil {
			fmt.Fprintln(a.out, term.Safe(eventText(u.Event)))
		}
	}
	return nil
}

// updateDocument is one line of ivt watch --json, in the words of the Varlink interface.
func updateDocument(u *ivt.Update) map[string]any {
	d := map[string]any{}
	if u.Lost > 0 {
		d["lost"] = u.Lost
	}
	if len(u.Snapshot) > 0 {
		var vectors []api.Vector
		for _, v := range u.Snapshot {
			vectors = append(vectors, api.FromInfo(v))
		}
		d["snapshot"] = vectors
	}
	if u.Ready {
		d["ready"], d["sequence"] = true, u.Sequence
	}
	if u.Event != nil {
		d["event"] = api.FromEvent(*u.Event)
	}
	return d
}

// eventText is an event in one line.
func eventText(e *irq.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-12s ", e.Time.Local().Format("2006-01-02 15:04:05.000"), e.Kind)
	if !e.Vector.IsZero() {
		b.WriteString(e.Vector.String())
	} else {
		b.WriteString(e.Source)
	}
	if e.Holder != nil {
		b.WriteString("  " + picture.Short(*e.Holder))
	}
	if r := e.Refused; r != nil {
		fmt.Fprintf(&b, "  %d", uint32(r.Code))
		for _, c := range r.Conflicts {
			for _, h := range c.Holders {
				b.WriteString("  held by " + picture.Short(h))
			}
		}
	}
	if e.Detail != "" {
		b.WriteString("  " + e.Detail)
	}
	return b.String()
}

func (a *app) historyCommand() *cobra.Command {
	var since string
	var pid int
	c := &cobra.Command{
		Use:     "history [VECTOR]",
		GroupID: groupLook,
		Short:   "who held what when, and who was refused",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return usageError{err}
			}
			vector := ""
			if len(args) == 1 {
				vector = args[0]
			}
			return a.history(c.Context(), vector, from, pid)
		},
		ValidArgsFunction: a.completeVectors,
	}
	c.Flags().StringVar(&since, "since", "", "a `time`: 2h, 2026-11-23, 2026-11-23T08:00:00")
	c.Flags().IntVar(&pid, "pid", 0, "only events about this `process`")
	return c
}

// parseSince reads a duration back from now, a day or a moment.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d.Abs()), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("--since is a duration like 2h, a day like 2026-11-23 or a moment like 2026-11-23T08:00:00")
}

func (a *app) history(ctx context.Context, vector string, since time.Time, pid int) error {
	past, finish, err := a.pastEvents(ctx, vector, since)
	if err != nil {
		return err
	}
	defer finish()
	events := []api.Event{}
	for e, err := range past {
		if err != nil {
			return err
		}
		if pid != 0 && (e.Holder == nil || e.Holder.PID != pid) {
			continue
		}
		if a.json {
			events = append(events, api.FromEvent(e))
		} else {
			fmt.Fprintln(a.out, term.Safe(eventText(&e)))
		}
	}
	if a.json {
		return a.document(map[string]any{"events": events})
	}
	return nil
}

// pastEvents are ivtd's; where none runs, those of the file that the last one left.
func (a *app) pastEvents(ctx context.Context, vector string, since time.Time) (past iter.Seq2[irq.Event, error], finish func(), err error) {
	client, err := a.dial(ctx)
	if err == nil {
		return client.History(ctx, vector, since), func() { client.Close() }, nil
	}
	file := a.historyFile()
	if !errors.As(err, &noDaemonError{}) || file == "" {
		return nil, nil, err
	}
	if _, missing := os.Stat(file); missing != nil {
		return nil, nil, err
	}
	var v irq.Vector
	if vector != "" {
		if v, err = irq.ParseVector(vector); err != nil {
			return nil, nil, err
		}
	}
	fmt.Fprintf(a.errs, "no ivtd runs; this is what %s has\n", term.Safe(file))
	return func(yield func(irq.Event, error) bool) {
		going := true
		damage, err := history.ReadFile(file, func(e irq.Event) bool {
			going = e.Time.Before(since) || !e.Concerns(v) || yield(e, nil)
			return going
		})
		if damage != nil {
			fmt.Fprintln(a.errs, term.Safe(file+": "+damage.Error()+"; what is whole was shown"))
		}
		if err != nil && going {
			yield(irq.Event{}, err)
		}
	}, func() {}, nil
}

// historyFile is where the ivtd that is meant keeps its events; "" if that is not known.
func (a *app) historyFile() string {
	client, err := ivt.NewClient(a.where()...)
	if err != nil {
		return ""
	}
	defer client.Close()
	if system := places.System(); client.Socket() == system.Socket {
		return system.History
	}
	if user, err := places.User(); err == nil && client.Socket() == user.Socket {
		return user.History
	}
	return ""
}
