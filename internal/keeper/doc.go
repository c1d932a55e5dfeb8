// Package keeper lets ivtd's worker die without anybody being released (rule 14).
//
// ivtd is two processes. The parent is the keeper: [Run] starts the worker, holds a copy of every
// descriptor that the worker gives it, and starts the next worker when one dies. It reads nothing
// that a client wrote. The worker's side is [Store]: what it puts there is back after its death.
//
// What is kept is a set of slots of fixed size in shared memory ([Memory]), each with a key, a value, up to four
// descriptors and eight counters. The order of every change makes a kill at any instruction harmless:
//
//	intent (slot written) → descriptors (on their way to the keeper, in the socket's queue) → live
//
// A slot that is not live after a crash never was; a replaced one is dropped only when its successor is live.
// Under systemd the keeper also puts memory and descriptors into the descriptor store, so that it may die itself.
package keeper
