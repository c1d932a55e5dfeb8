// Package version says which ivt this is.
package version

import "runtime/debug"

// Version is set by the build (-ldflags -X).
var Version string

// String returns the version of the build, else what the module system knows, else "unknown".
func String() string {
	if Version != "" {
		return Version
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		return b.Main.Version
	}
	return "unknown"
}
