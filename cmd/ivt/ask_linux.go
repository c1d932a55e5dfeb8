package main

import (
	"context"
	"errors"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/irq"
)

// askDaemon answers for vectors that ivtd hands out; without an answer the kernel is to be asked. denied says why ivtd was not.
func (a *app) askDaemon(ctx context.Context, target string) (answer *host.Answer, denied *irq.Error, err error) {
	v, err := irq.ParseVector(target)
	if err != nil || v.Scheme() == "irq" {
		return nil, nil, nil
	}
	client, denied, err := a.dialIfAllowed(ctx)
	if client == nil {
		return nil, denied, err
	}
	defer client.Close()
	info, err := client.Lookup(ctx, target)
	if errors.Is(err, irq.ErrNoSuchDevice) && v.Scheme() == "pci" {
		return nil, nil, nil // a device of the kernel's
	}
	if err != nil {
		return nil, nil, err
	}
	w := &host.Answer{Target: target, Kind: "vector", Subject: info.Vector.String()}
	for _, h := range info.Holders {
		w.Holders = append(w.Holders, host.Holder{Holder: h, Certain: true})
	}
	if len(info.Holders) > 0 {
		w.Remedies = []string{"ivt show " + info.Vector.String(), "ivt connect --wait " + info.Vector.String() + " (queues until it is free)"}
	}
	return w, nil, nil
}
