//go:build !linux

package term

import "os"

// terminalWidth takes a character device for a terminal of unknown width.
func terminalWidth(f *os.File) (columns int, ok bool) {
	info, err := f.Stat()
	return 0, err == nil && info.Mode()&os.ModeCharDevice != 0
}
