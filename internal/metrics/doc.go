// Package metrics shows interrupts to Prometheus: what ivtd knows of its vectors ([Daemon]), and the whole machine
// for node_exporter's text files ([Machine]). Package scrape serves them to Prometheus, [Write] writes them.
//
// The number of time series is bounded: eight for each of the first [MostVectors] vectors that somebody holds, five for each source,
// a few for each interrupt of the kernel's, one for each code of refusals. Those of each CPU are made on request only.
package metrics
