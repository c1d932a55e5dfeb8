//go:build race

package irq_test

const raceEnabled = true
