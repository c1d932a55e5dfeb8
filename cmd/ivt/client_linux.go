package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// where are the options that say which ivtd is meant.
func (a *app) where() []ivt.Option {
	switch {
	case a.socket != "":
		return []ivt.Option{ivt.Socket(a.socket)}
	case a.user:
		return []ivt.Option{ivt.User()}
	case a.system:
		return []ivt.Option{ivt.System()}
	}
	return nil
}

// dial connects to ivtd; nobody there is exit status 7.
func (a *app) dial(ctx context.Context) (*ivt.Client, error) {
	if a.root != "" {
		return nil, usageError{errors.New("--root shows a saved machine; this command needs a running ivtd")}
	}
	c, err := ivt.Dial(ctx, a.where()...)
	return c, daemonError(err)
}

// dialIfThere is for what works without ivtd, too: nil if nobody answers.
func (a *app) dialIfThere(ctx context.Context) (*ivt.Client, error) {
	if a.root != "" {
		return nil, nil
	}
	anyone := a.socket == "" && !a.user && !a.system
	c, err := ivt.NewClient(a.where()...)
	if err == nil && anyone && missing(c.Socket()) { // seen at a glance; a call to nobody takes a hundred times as long
		return nil, c.Close()
	}
	c, err = ivt.Dial(ctx, a.where()...)
	if errors.Is(err, ivt.ErrNoDaemon) && anyone {
		return nil, nil
	}
	return c, daemonError(err)
}

// dialIfAllowed is for what shows the kernel's side to who may not talk to ivtd, too: denied says why not.
func (a *app) dialIfAllowed(ctx context.Context) (c *ivt.Client, denied *irq.Error, err error) {
	c, err = a.dialIfThere(ctx)
	if errors.As(err, &denied) && denied.Code == irq.ErrAccessDenied {
		return nil, denied, nil
	}
	return c, nil, err
}

func missing(socket string) bool {
	_, err := os.Stat(socket)
	return filepath.IsAbs(socket) && errors.Is(err, fs.ErrNotExist)
}

func daemonError(err error) error {
	if errors.Is(err, ivt.ErrNoDaemon) {
		return noDaemonError{err}
	}
	return err
}

// connectionsOf returns the ids of the connections that a target means: its own id, or those on a vector.
func connectionsOf(ctx context.Context, c *ivt.Client, operation, target string) (ids []string, v irq.Vector, err error) {
	if _, err := irq.ParseVector(target); err != nil {
		return []string{target}, v, nil
	}
	info, err := c.Lookup(ctx, target)
	if err != nil {
		return nil, v, err
	}
	for _, h := range info.Holders {
		if h.Connection != "" {
			ids = append(ids, h.Connection)
		}
	}
	if len(ids) > 0 {
		return ids, info.Vector, nil
	}
	e := &irq.Error{Code: irq.ErrNotConnected, Operation: operation, Vector: info.Vector, Reason: irq.ReasonClosed, Detail: "no connection of ivt is on it",
		Remedies: []string{"ivt who " + target}}
	if len(info.Holders) > 0 {
		e.Detail, e.Conflicts = "it is not held through ivt", []irq.Conflict{{Vector: info.Vector, Reason: irq.ReasonKernelHolds, Holders: info.Holders}}
	}
	return nil, v, e
}
