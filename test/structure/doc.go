// Package structure holds the architecture by tests: imports point one way, system calls stay in one place,
// files and functions stay readable, exported names are documented.
package structure
