package ivt

import (
	"runtime"
	"time"
)

// A pace lets Go's scheduler run now and then on a thread that otherwise only goes in and out of system calls.
//
// To the runtime such a goroutine is one that never yields: after 10 ms it takes the processor (P) away at each call, so that
// each wake-up has to find one first and to wake the thread that does this (retake, exitsyscallTryGetP in runtime/proc.go), which
// costs more than all else that Go adds to a wake-up. To yield once in 5 ms while interrupts come often avoids it.
type pace struct {
	yielded time.Time
	calls   int // since then
}

const yieldEvery = 5 * time.Millisecond

// keep is called before each wait. Where interrupts are rare it does nothing: the processor is gone then in any case.
func (p *pace) keep() {
	p.calls++
	if time.Since(p.yielded) < yieldEvery {
		return
	}
	if p.calls > 1 {
		runtime.Gosched()
	}
	p.yielded, p.calls = time.Now(), 0
}
