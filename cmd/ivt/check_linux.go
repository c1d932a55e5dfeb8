package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

// claims is the file of ivt check: who would want what.
type claims struct {
	Claim []claim `toml:"claim"`
}

type claim struct {
	Name    string   `toml:"name" json:"name"`
	Vectors []string `toml:"vectors" json:"vectors"`
	Share   bool     `toml:"share" json:"share,omitempty"`
	Trigger string   `toml:"trigger" json:"trigger,omitempty"`
	Access  string   `toml:"access" json:"access,omitempty"`
}

// verdict is what would become of one claim.
type verdict struct {
	claim
	OK    bool       `json:"ok"`
	Error *irq.Error `json:"error,omitempty"`
	err   error
}

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check FILE",
		GroupID: groupDriver,
		Short:   "would this set of claims work? changes nothing",
		Long: `Check reads claims and says for each whether it would be granted now, asked as the present user. Claims of the
file that contradict each other are found, too. FILE is TOML:

  [[claim]]
  name = "nic"                                 # any text
  vectors = ["pci:0000:3b:00.0/msix/2"]
  share = false                                # default
  trigger = "edge"                             # default: as it is
  access = "irq"                               # default`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			list, err := readClaims(args[0])
			if err != nil {
				return usageError{err}
			}
			client, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			return a.checkAll(c.Context(), client, list)
		},
	}
}

func readClaims(name string) ([]claim, error) {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return nil, err
		}
		defer f.Close()
	}
	var all claims
	err := toml.NewDecoder(f).DisallowUnknownFields().Decode(&all)
	var strict *toml.StrictMissingError
	var syntax *toml.DecodeError
	switch {
	case errors.As(err, &strict) && len(strict.Errors) > 0:
		row, column := strict.Errors[0].Position()
		return nil, fmt.Errorf("%s:%d:%d: unknown key %v; a claim has name, vectors, share, trigger and access", name, row, column, strict.Errors[0].Key())
	case errors.As(err, &syntax):
		row, column := syntax.Position()
		return nil, fmt.Errorf("%s:%d:%d: %w", name, row, column, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case len(all.Claim) == 0:
		return nil, fmt.Errorf("%s has no [[claim]]", name)
	}
	for i := range all.Claim {
		if c := &all.Claim[i]; c.Name == "" {
			c.Name = "claim " + strconv.Itoa(i+1)
		}
	}
	return all.Claim, nil
}

func (a *app) checkAll(ctx context.Context, client *ivt.Client, list []claim) error {
	results := make([]verdict, len(list))
	former := map[string]*claim{}
	for i, c := range list {
		results[i] = verdict{claim: c}
		results[i].err = a.checkOne(ctx, client, c)
		if results[i].err == nil {
			results[i].err = contradicts(former, &list[i])
		}
		results[i].OK = results[i].err == nil
		errors.As(results[i].err, &results[i].Error)
	}
	return a.showVerdicts(results)
}

func (a *app) checkOne(ctx context.Context, client *ivt.Client, c claim) error {
	f := connectFlags{share: c.Share, trigger: c.Trigger, access: c.Access, label: c.Name, dryRun: true}
	if f.access == "" {
		f.access = "irq"
	}
	if err := f.check(); err != nil {
		return err
	}
	_, err := client.ConnectAll(ctx, c.Vectors, f.options(a.where())...)
	return err
}

// contradicts finds a claim of the same file that wants the same vector, unless both share.
func contradicts(former map[string]*claim, c *claim) error {
	for _, name := range c.Vectors {
		v, err := irq.ParseVector(name)
		if err != nil {
			return err
		}
		if other := former[v.String()]; other != nil && !(other.Share && c.Share) {
			holder := irq.Holder{Kind: irq.HolderUnknown, Label: "the claim " + other.Name + " of this file"}
			return &irq.Error{Code: irq.ErrAlreadyConnected, Operation: "check", Vector: v, Reason: irq.ReasonHeld,
				Conflicts: []irq.Conflict{{Vector: v, Reason: irq.ReasonHeld, Holders: []irq.Holder{holder}}}, Remedies: []string{"give one of them another vector"}}
		}
		former[v.String()] = c
	}
	return nil
}

// showVerdicts ends with the status of the first claim that would fail.
func (a *app) showVerdicts(results []verdict) error {
	var first error
	for _, r := range results {
		if r.err != nil && first == nil {
			first = r.err
		}
	}
	if a.json {
		if err := a.document(map[string]any{"ok": first == nil, "claims": results}); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			mark, text := a.out.Style(term.Green, "ok  "), ""
			if r.err != nil {
				mark, text = a.out.Style(term.Red, "no  "), ": "+term.Safe(r.err.Error())
			}
			fmt.Fprintf(a.out, "%s%s%s\n", mark, term.Safe(r.Name), text)
		}
	}
	if first == nil {
		return nil
	}
	return statusError{status: statusOf(first)}
}
