package vectormap

import (
	"io/fs"
	"runtime"
	"strings"
)

// archOf tells the architecture of a machine: for the live one that of this program, for a saved one what
// /proc/sys/kernel/arch (6.1) or the rows of /proc/interrupts show; "" if neither does.
func archOf(root Root) string {
	if root.Live() {
		return runtime.GOARCH
	}
	if text, err := fs.ReadFile(root.FS(), "proc/sys/kernel/arch"); err == nil {
		return strings.TrimSpace(string(text))
	}
	text, _ := fs.ReadFile(root.FS(), "proc/interrupts")
	for _, sign := range [][2]string{{"TLB shootdowns", "x86_64"}, {"GIC", "aarch64"}, {"IPI0:", "another with numbered IPIs"},
		{"RISC-V", "riscv64"}, {"XICS", "ppc64le"}, {"XIVE", "ppc64le"}} {
		if strings.Contains(string(text), sign[0]) {
			return sign[1]
		}
	}
	return ""
}
