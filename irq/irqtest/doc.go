// Package irqtest brings about, in the tests of a driver, what seldom happens to it in life: the vector is
// taken, a storm, revocation, the device is unplugged, the driver is restarted, it acknowledges late.
//
// A [Bench] is a registry of its own with one source, on a [Clock] that the test drives: nothing happens
// until [Bench.Advance], and no test sleeps.
package irqtest
