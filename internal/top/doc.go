// Package top shows the vectors of a machine in a terminal, live: rates, holders, states, by vector, device, NUMA node
// or CPU.
//
// It has three parts that meet only in messages. A Feed reads the machine and ivtd. The model (model.go, keys.go,
// lines.go) turns messages into state, and does nothing else. The view (view.go, detail.go) turns the state into text,
// in which everything that comes from strangers was made harmless by package term.
package top
