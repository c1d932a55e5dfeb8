// Package varlink speaks Varlink over Unix stream sockets, with file descriptors: a server, a client,
// and a parser for interface descriptions.
//
// Varlink (varlink.org) is calls and replies as JSON objects, each followed by a NUL byte. An
// interface is described in a text that every service gives out, so a service can be explored and
// called from a shell (varlinkctl of systemd, socat, Python) without anything generated. Descriptors
// travel as systemd does it: they are attached to the message (SCM_RIGHTS), and parameters whose
// names end in FileDescriptor hold their indexes.
//
// # Serving
//
// A [Server] is given descriptions and a [Handler] for each method, and serves a listener:
//
//	var server varlink.Server
//	err := server.Register(description, map[string]varlink.Handler{
//		"Ping": func(c *varlink.Call) error {
//			var in struct{ Ping string }
//			if err := c.Decode(&in); err != nil {
//				return err
//			}
//			return c.Reply(map[string]string{"pong": in.Ping})
//		},
//	})
//	…
//	err = server.Serve(listener)
//
// A handler sees who calls: [Call.Peer] opened the session, [Call.Sender] wrote this message. It may
// block; [Call.Context] ends when the peer hangs up. Its parameters have been held against the
// description before. What a client may cost is in [Limits], with defaults that suit a system
// daemon; who floods, stalls, lingers or sends garbage harms only itself.
//
// # Calling
//
//	conn, err := varlink.Dial(ctx, "unix:/run/ping.sock")
//	…
//	err = conn.Call(ctx, "org.example.ping.Ping", in, &out)
//
// [Conn.CallDescriptors] also returns the descriptors of the reply, [Conn.More] a stream of replies.
// A service's error is an *[Error] with a name and parameters.
//
// # Descriptors without surprises
//
// The kernel joins a message without descriptors and a following one with descriptors when both wait
// to be read, and the reader credits them to the wrong message. This package reads each message up
// to its NUL and no further, and sends a reply with descriptors only as the single reply of a plain
// call, and only when everything before it was read. See wire.go.
//
// The package runs on Linux.
package varlink
