//go:build !unix && !windows

package irq

func (c Code) matchesErrno(error) bool { return false }

func (c Code) matchesCause(error) bool { return false }
