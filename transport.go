package ivt

import (
	"context"
	"os"
	"path/filepath"
)

// A transport carries calls to one ivtd. It makes its session when one is needed, and again after it broke.
type transport interface {
	// call makes a plain call on the shared session.
	call(ctx context.Context, method string, in, out any) error
	// receive is call for replies with descriptors. With alone it uses a session of its own, for calls that wait. If in is
	// a func() any it is asked for the parameters each time that the call is sent.
	receive(ctx context.Context, method string, in, out any, alone bool) (received, error)
	// more calls a method with many replies, on a session of its own.
	more(ctx context.Context, method string, in any) (replies, error)
	// only is this transport for calls that concern what the registry of that name granted: no other gets them.
	only(registry string) transport
	close() error
}

// received are the descriptors of a reply.
type received interface {
	Take(index int) (fd int, err error)
	// Registry is who granted them (Status.Instance), "" if it did not say.
	Registry() string
	Close()
}

// replies are those of one call.
type replies interface {
	next(out any) (more bool, err error)
	// registry is whose replies these are.
	registry() string
	close()
}

// systemSocket is where the machine's ivtd serves.
const systemSocket = "/run/ivtd/ivtd.sock"

// path says where ivtd is looked for, and why there.
func (w where) path() (path, why string, err error) {
	runtime := os.Getenv("XDG_RUNTIME_DIR")
	own := filepath.Join(runtime, "ivtd.sock")
	switch {
	case w.socket != "":
		return w.socket, "as told", nil
	case w.user && w.system:
		return "", "", malformed("connect", "", "there is one ivtd of the user and one of the system: choose")
	case w.user && runtime == "":
		return "", "", malformed("connect", "", "XDG_RUNTIME_DIR is not set, so the user's ivtd cannot be found")
	case w.user:
		return own, "the user's", nil
	case w.system:
		return systemSocket, "the system's", nil
	case os.Getenv("IVT_SOCKET") != "":
		return os.Getenv("IVT_SOCKET"), "by IVT_SOCKET", nil
	}
	if runtime != "" {
		if _, err := os.Stat(own); err == nil {
			return own, "the user's", nil
		}
	}
	return systemSocket, "the system's", nil
}
