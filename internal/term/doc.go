// Package term writes to terminals and pipes: colour only where it is wanted, tables that fit the width, and
// text from strangers made harmless.
package term
