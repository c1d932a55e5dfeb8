// Package policy reads who may have which interrupt vector, from /etc/ivtd/ivtd.toml and
// /etc/ivtd/ivtd.d/*.toml, and decides by it.
//
// The files are strict: an unknown key is a [Problem] with its file, line, column and the nearest known
// key. [Load] reports every problem that it can find, not the first one. A [Policy] never changes; a
// reload makes another one and [Live] swaps them at once.
//
// The first [[allow]] that fits both the vector and the caller decides. Where none fits, ivtd's own user
// has the doorbells (soft:*) and everybody else is refused with the rule that says so.
package policy
