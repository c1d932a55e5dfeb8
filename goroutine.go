package ivt

import (
	"bytes"
	"runtime"
)

// A goroutine is one that runs handlers of a connection.
type goroutine struct {
	name []byte
	left chan struct{} // closed when it has left Handle
}

func newGoroutine() *goroutine { return &goroutine{goroutineName(), make(chan struct{})} }

// isMe reports whether the caller runs on that goroutine: a handler that disconnects its own connection must not
// wait for itself.
func (g *goroutine) isMe() bool { return bytes.Equal(g.name, goroutineName()) }

// goroutineName is "goroutine 17", which the runtime never gives to another one.
func goroutineName() []byte {
	text := make([]byte, 64)
	text = text[:runtime.Stack(text, false)]
	name, _, _ := bytes.Cut(text, []byte(" ["))
	return name
}
