//go:build !linux

package host

import (
	"io/fs"
	"os"
)

func newLiveTree() fs.FS { return os.DirFS("/") }
