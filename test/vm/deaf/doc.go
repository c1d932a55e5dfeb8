// Package deaf runs the demonstration of examples/deaf in the VM.
package deaf
