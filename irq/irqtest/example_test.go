package irqtest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/irq/irqtest"
)

// How a driver is tested: here it is refused, then served, then its process is restarted.
func Example() {
	t := exampleTB{} // in a test, its *testing.T
	b := irqtest.New(t)
	defer b.Close()
	v := b.Vector(3)
	driver := func() (*irq.Connection, error) {
		return b.Connect(context.Background(), irq.Request{
			Vectors: []irq.Vector{v}, Grace: time.Minute,
			Handler: func(i irq.Interrupt) irq.Verdict {
				fmt.Println("interrupt", i.Sequence, "rung:", i.Rang)
				return irq.Handled
			},
		})
	}
	b.RefuseNext(irq.ErrAlreadyConnected)
	_, err := driver()
	fmt.Println(err)

	c, err := driver()
	fmt.Println(err)
	b.Raise(v, 1)

	b.Die(v)
	b.Raise(v, 2)
	b.Advance(30 * time.Second)
	b.Restart(v)
	fmt.Println("generation", c.Generation())
	// Output:
	// connect soft:test/3: 763 ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED: the test refuses it
	// <nil>
	// interrupt 1 rung: false
	// interrupt 2 rung: true
	// generation 2
}

// exampleTB stands for a test.
type exampleTB struct{ testing.TB }

func (exampleTB) Helper()        {}
func (exampleTB) Cleanup(func()) {}
