// Package page shows the interrupts of a machine in a browser: a map of vectors and CPUs, live events, findings.
//
// It serves on loopback as the person who called it, under an address with a random token; Host and Origin are checked,
// nothing is loaded from elsewhere, and no script stands in the page (see guard.go). One sampler feeds all viewers; a slow viewer
// misses frames, and nobody waits for it.
package page
