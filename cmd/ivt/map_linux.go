package main

import (
	"context"

	"github.com/ivtd/ivt/internal/host/vectormap"
)

// showMap shows the vectors of each CPU, or of one (cpu >= 0).
func (a *app) showMap(ctx context.Context, cpu int) error {
	root, err := a.machine()
	if err != nil {
		return err
	}
	defer root.Close()
	m, err := vectormap.Read(ctx, root, vectormap.Options{})
	if err != nil {
		return err
	}
	if a.json {
		return a.document(m)
	}
	style := vectormap.Style{}
	if cpu >= 0 {
		style.CPUs = []int{cpu}
	}
	return m.Write(a.out, style)
}
