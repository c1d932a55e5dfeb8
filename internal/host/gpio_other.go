//go:build !linux

package host

// liveGPIOLines: there is no live machine to read but on Linux.
func liveGPIOLines(*reading) []GPIOLine { return nil }
