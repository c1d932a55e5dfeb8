// Package conformance holds our Varlink against implementations that nobody here wrote: the Go one of
// the Varlink project (Debian's varlink-go), systemd's varlinkctl and libsystemd, and the standard
// library of Python. It has tests only. What is missing is skipped with what to do about it; with
// CI=true in the environment that is a failure.
package conformance
