package irq

import (
	"runtime"
	"strings"
)

// insideHandler reports whether a handler of some vector is on this goroutine's stack. (Of which vector
// cannot be told from outside the runtime.)
func insideHandler() bool {
	var pcs [32]uintptr
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		frames := runtime.CallersFrames(pcs[:n])
		for more := n > 0; more; {
			var f runtime.Frame
			f, more = frames.Next()
			if strings.HasSuffix(f.Function, "irq.(*Line).Raise") || strings.HasSuffix(f.Function, "irq.(*action).run") {
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}
