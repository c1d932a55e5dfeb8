package main

import (
	"fmt"
	"syscall"
)

// replace executes a program in place of this process. It returns only on failure.
func replace(program string, command, environ []string) error {
	return fmt.Errorf("execute %s: %w", program, syscall.Exec(program, command, environ))
}
