//go:build !unix && !windows

package irq

func (c Code) matchesErrno(error) bool { return false }
