// Package picture joins the two halves of what is known: the kernel's interrupts (package host) and the vectors that
// ivtd hands out. List, top, page and metrics show the same rows, because they all take them from here.
package picture
