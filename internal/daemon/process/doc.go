// Package process reads what the kernel says of a process in /proc: when it started, its name, its cgroup
// and the system unit that follows from it. A pid and a start time together name one process for ever.
package process
