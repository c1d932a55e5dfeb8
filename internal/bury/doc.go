// Package bury closes sockets in which somebody may have left descriptors.
//
// To drop a descriptor may take as long as its sender likes: a TCP socket with SO_LINGER waits for its peer, a file of a file system
// that the sender serves himself (FUSE) for him. So descriptors that nobody asked for are never received: close(2) of one that was
// makes its file system flush it (filp_close in fs/open.c), and waits for that so that not even SIGKILL ends it. A descriptor that is
// dropped with its message is only released, and a file system is told of that without waiting for it, unless it has data to write
// back (fuse_release in fs/fuse/file.c). What waits can be interrupted, then, but for that last kind.
//
// Nobody waits for who waits, at most [most] do so at once, and the socket stays open until it is empty: whoever else has a copy of
// it, such as the keeper, never drops the last one with something in it.
package bury
