//go:build !linux

package main

import (
	"context"

	"github.com/ivtd/ivt/internal/doctor/explain"
)

// On other systems there is no kernel to look at: explain and version work, which is what one needs there.
var systemCommands []named

func (a *app) overview(context.Context) error {
	return explain.Explain(a.out, "763", a.in, explain.Options{JSON: a.json})
}

func (a *app) refused(context.Context) func(uint32) ([]explain.Refusal, error) { return nil }
