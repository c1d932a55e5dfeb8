//go:build linux

package ivt_test

import (
	"context"
	"testing"
)

// BenchmarkConnectDisconnect is both calls on one session, with ivtd in the same process; bench/ has it beside its peers.
func BenchmarkConnectDisconnect(b *testing.B) {
	d := serve(b)
	ctx := context.Background()
	for b.Loop() {
		c, err := d.client.Connect(ctx, "soft:demo/1")
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Disconnect(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStatus is the least that a call costs.
func BenchmarkStatus(b *testing.B) {
	d := serve(b)
	ctx := context.Background()
	for b.Loop() {
		if _, err := d.client.Lookup(ctx, "soft:demo/1"); err != nil {
			b.Fatal(err)
		}
	}
}
