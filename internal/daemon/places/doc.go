// Package places knows where an ivtd has its files. It stands alone so that a program that only looks for them does not
// have the whole daemon in it.
package places
