package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// directives is what the //vm: comments of a package ask for, see the package
// comment.
type directives struct {
	programs, files, kernels []string
	hosts, python            []string
	run, init                string
	noIOMMU, pins            bool
}

// readDirectives reads them from the package's test files.
func readDirectives(dir string) (directives, error) {
	var d directives
	files, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return d, err
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			if rest, ok := strings.CutPrefix(line, "//vm:"); ok {
				if err := d.set(strings.Fields(rest)); err != nil {
					return d, fmt.Errorf("%s:%d: %w", f, n, err)
				}
			}
		}
	}
	return d, nil
}

func (d *directives) set(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("//vm: needs a word and its value")
	}
	key, values := words[0], words[1:]
	switch key {
	case "program":
		d.programs = append(d.programs, values...)
	case "file":
		d.files = append(d.files, values...)
	case "host":
		d.hosts = append(d.hosts, values...)
	case "python":
		d.python = append(d.python, values...)
	case "kernel":
		d.kernels = append(d.kernels, values...)
	case "run":
		d.run = values[0]
	case "iommu":
		d.noIOMMU = values[0] == "off"
	case "pins":
		d.pins = values[0] == "on"
	case "init":
		d.init = values[0]
	default:
		return fmt.Errorf("unknown //vm:%s", key)
	}
	return nil
}

// wants says whether the package is to run on that kernel.
func (d *directives) wants(kernel string) bool {
	return len(d.kernels) == 0 || slices.Contains(d.kernels, kernel)
}
