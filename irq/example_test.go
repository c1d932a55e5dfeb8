package irq_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ivtd/ivt/irq"
)

// An emulator connects a device model's interrupt to the driver that runs in it.
func Example() {
	r := irq.New(irq.Config{})
	defer r.Close()
	nic, err := r.Attach(irq.SourceSpec{Name: "emu:nic0", Groups: []irq.Group{{Type: "msix", Count: 4}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	rx := irq.Vector{Source: "emu:nic0", Type: "msix", Index: 2}
	c, err := r.Connect(context.Background(), irq.Request{
		Vectors: []irq.Vector{rx},
		Handler: func(i irq.Interrupt) irq.Verdict {
			fmt.Println("interrupt", i.Sequence)
			return irq.Handled
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	nic.Line("msix", 2).Raise()
	nic.Line("msix", 2).Raise()
	fmt.Println(c.Disconnect(context.Background()))
	// Output:
	// interrupt 1
	// interrupt 2
	// <nil>
}

// Whoever comes second is refused, and told who has the vector.
func ExampleRegistry_Connect_refused() {
	r := irq.New(irq.Config{})
	defer r.Close()
	if _, err := r.Attach(irq.SourceSpec{Name: "soft:demo", Groups: []irq.Group{{Count: 64}}}); err != nil {
		fmt.Println(err)
		return
	}
	q := irq.Request{
		Vectors: []irq.Vector{{Source: "soft:demo", Index: 3}},
		Handler: func(irq.Interrupt) irq.Verdict { return irq.Handled },
		Holder:  irq.Holder{Kind: irq.HolderProcess, PID: 4711, Command: "nicd"},
	}
	_, err := r.Connect(context.Background(), q)
	fmt.Println("first:", err)
	q.Holder = irq.Holder{Kind: irq.HolderProcess, PID: 4712, Command: "other"}
	_, err = r.Connect(context.Background(), q)
	fmt.Println("second is 763:", errors.Is(err, irq.ErrAlreadyConnected))
	var refusal *irq.Error
	if errors.As(err, &refusal) {
		h := refusal.Conflicts[0].Holders[0]
		fmt.Printf("held by pid %d (%s) by connection %s\n", h.PID, h.Command, h.Connection)
		fmt.Println("try:", refusal.Remedies[0])
	}
	// Output:
	// first: <nil>
	// second is 763: true
	// held by pid 4711 (nicd) by connection c1
	// try: see who has it: ivt who soft:demo/3
}

// A level line is shared by consent of all, and stays masked until all have acknowledged.
func ExampleConnection_Ack() {
	r := irq.New(irq.Config{})
	defer r.Close()
	pci, err := r.Attach(irq.SourceSpec{Name: "emu:pci", Groups: []irq.Group{{Type: "intx", Count: 1, Trigger: irq.TriggerLevel, Shareable: true}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var late []irq.Interrupt
	c, err := r.Connect(context.Background(), irq.Request{
		Vectors: []irq.Vector{{Source: "emu:pci", Type: "intx"}},
		Handler: func(i irq.Interrupt) irq.Verdict {
			late = append(late, i)
			return irq.Pending
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	line := pci.Line("intx", 0)
	line.Raise()
	line.Raise() // masked: waits for the acknowledgement
	fmt.Println(len(late), "delivered")
	if err := c.Ack(c.Generation(), 0, late[0].Sequence, true); err != nil {
		fmt.Println(err)
	}
	r.Settle()
	fmt.Println(len(late), "delivered, the last with count", late[1].Count)
	// Output:
	// 1 delivered
	// 2 delivered, the last with count 1
}

// Who held it, and every refusal, can be asked afterwards.
func ExampleRegistry_History() {
	r := irq.New(irq.Config{})
	defer r.Close()
	if _, err := r.Attach(irq.SourceSpec{Name: "soft:demo", Groups: []irq.Group{{Count: 64}}}); err != nil {
		fmt.Println(err)
		return
	}
	v := irq.Vector{Source: "soft:demo", Index: 3}
	q := irq.Request{Vectors: []irq.Vector{v}, Handler: func(irq.Interrupt) irq.Verdict { return irq.Handled }}
	c, _ := r.Connect(context.Background(), q)
	_, _ = r.Connect(context.Background(), q)
	_ = c.Disconnect(context.Background())
	for e := range r.History(v) {
		fmt.Println(e.Sequence, e.Vector, e.Kind)
	}
	// Output:
	// 2 soft:demo/3 connected
	// 3 soft:demo/3 refused
	// 4 soft:demo/3 disconnected
}
