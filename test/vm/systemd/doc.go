// Package systemd has tests of what systemd does with a service's descriptors
// when it restarts, on real kernels with systemd as process 1.
package systemd
