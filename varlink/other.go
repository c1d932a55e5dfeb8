//go:build !linux

package varlink

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Elsewhere than on Linux the package compiles, so that programs with other uses do, and speaks to
// nobody: every session and every Dial fails with errors.ErrUnsupported.

const controlSize = 0

func (w *wire) receive(uintptr) bool { w.in.finish(errors.ErrUnsupported); return true }
func (w *wire) send(uintptr) bool    { w.out.err = errors.ErrUnsupported; return true }
func drain(int)                      {}

func rights([]int) []byte              { return nil }
func hungUp(uintptr) bool              { return true }
func hangUp(syscall.RawConn)           {}
func hushUp(syscall.RawConn)           {}
func gone(err error) bool              { return errors.Is(err, net.ErrClosed) }
func discard(int)                      {}
func discardAll([]int)                 {}
func unsupported() error               { return fmt.Errorf("varlink needs Linux: %w", errors.ErrUnsupported) }
func peerGroups(int) ([]uint32, error) { return nil, unsupported() }

func peerCredentials(int) (Credentials, error)    { return Credentials{}, unsupported() }
func peerPidfd(int, int) (int, bool, error)       { return -1, false, unsupported() }
func prepareListener(syscall.RawConn, bool) error { return unsupported() }
func prepareSession(int) (bool, error)            { return false, unsupported() }
func acceptSocket(uintptr) (int, error)           { return -1, unsupported() }
func mute(int) bool                               { return true }
func dismissal(int, *Error)                       {}
func closeSocket(int)                             {}
func endSocket(int, bool) bool                    { return true }
func closing(_ bool, f func())                    { f() }
