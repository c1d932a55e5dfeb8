// Package metrics shows interrupts to Prometheus: what ivtd knows of its vectors ([Daemon]), and the whole machine
// for node_exporter's text files ([Machine]).
//
// The number of time series is bounded: one for each vector that somebody holds and each interrupt of the kernel's, one for each
// code of refusals. Free doorbells have none, and those of each CPU are made on request only.
package metrics
