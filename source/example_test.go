//go:build linux

package source_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/source"
)

// A group of doorbells without a daemon: the registry grants the vector, the source brings its interrupts.
func Example() {
	ctx := context.Background()
	registry := irq.New(irq.Config{})
	defer registry.Close()

	bells, err := source.Lookup("soft").Open(ctx, source.Config{Name: "soft:demo", Ack: source.Acknowledge(registry)})
	if err != nil {
		fmt.Println(err)
		return
	}
	attached, _ := registry.Attach(bells.Spec())
	bells.Attached(attached)

	v := irq.Vector{Source: "soft:demo", Index: 3}
	c, _ := registry.Connect(ctx, irq.Request{Vectors: []irq.Vector{v}})
	d, _ := bells.Descriptors(irq.Claim{Vector: v, Connection: c.ID(), Generation: c.Generation()})
	stream := os.NewFile(uintptr(d.FD), "stream")
	defer stream.Close()

	bell, _ := bells.Doorbell(v, irq.Holder{Kind: irq.HolderUnknown})
	raiser := os.NewFile(uintptr(bell), "doorbell")
	defer raiser.Close()
	raiser.Write(binary.LittleEndian.AppendUint64(nil, 5)) // five rings in one record

	record := make([]byte, 56)
	stream.Read(record)
	fmt.Println("sequence", binary.LittleEndian.Uint64(record[8:]), "count", binary.LittleEndian.Uint64(record[16:]))

	registry.Close()
	bells.Close()
	// Output: sequence 1 count 5
}
