// Package chaos is the chaos with devices: several processes on the vectors of edu, e1000e and ivshmem, kills of holders and of ivtd's
// worker, interrupts of the hardware before, during and after. The one without devices is test/chaos.
package chaos
