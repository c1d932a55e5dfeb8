package vectormap

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/cilium/ebpf/btf"
)

// explain says why a method failed and what would make it work.
func explain(method Method, err error, root Root) Blind {
	b := Blind{Method: method, What: "the map", Why: err.Error()}
	switch {
	case errors.Is(err, errSaved):
		b.Cure = "read the map on the machine itself"
	case errors.Is(err, errUnstable):
		b.Cure = "try again"
	case method == MethodDebugfs:
		explainDebugfs(&b, err)
	case method == MethodKcore || method == MethodBPF:
		explainMemory(&b, err, root.FS())
	}
	return b
}

func explainDebugfs(b *Blind, err error) {
	switch {
	case errors.Is(err, fs.ErrPermission):
		b.Why, b.Cure = "debugfs is for root", "run it as root"
	case errors.Is(err, fs.ErrNotExist):
		b.Why = debugDomain + " does not exist: the kernel was built without CONFIG_GENERIC_IRQ_DEBUGFS, or debugfs is not mounted"
	}
}

func explainMemory(b *Blind, err error, tree fs.FS) {
	refused := errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES)
	switch {
	case errors.Is(err, errSymbolsHidden):
		explainHidden(b, tree)
	case errors.Is(err, errSymbolsMissing):
		b.Cure = "a kernel with CONFIG_KALLSYMS_ALL"
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(b.Why, btfPath), errors.Is(err, btf.ErrNotFound):
		b.Why += ": without it the layout of the kernel's structures is not known"
		b.Cure = "a kernel with CONFIG_DEBUG_INFO_BTF"
	case lockdown(tree) == "confidentiality":
		b.Why = "kernel lockdown is in confidentiality mode, which closes the kernel's memory"
		b.Cure = "lockdown=integrity on the kernel command line"
	case b.Method == MethodKcore && refused && hasCapability(tree, capRawIO), strings.Contains(b.Why, "unknown func bpf_probe_read"):
		b.Why = "refused with all rights: kernel lockdown in confidentiality mode, as it seems"
		b.Cure = "lockdown=integrity on the kernel command line; mount securityfs on /sys/kernel/security to be sure"
	case b.Method == MethodKcore && errors.Is(err, fs.ErrNotExist):
		b.Why = "/proc/kcore does not exist: the kernel was built without CONFIG_PROC_KCORE, or it is hidden here"
	case b.Method == MethodKcore && refused:
		b.Why, b.Cure = "no CAP_SYS_RAWIO, or not root", "run it as root, outside of containers"
	case b.Method == MethodBPF && refused && !canBPF(tree):
		b.Why, b.Cure = "no CAP_BPF and CAP_PERFMON", "run it as root"
	}
}

// explainHidden tells the two reasons for addresses that are all zero (kernel/kallsyms.c, kallsyms_show_value).
func explainHidden(b *Blind, tree fs.FS) {
	text, _ := fs.ReadFile(tree, "proc/sys/kernel/kptr_restrict")
	if strings.TrimSpace(string(text)) == "2" {
		b.Why += " (kptr_restrict = 2)"
		b.Cure = "sysctl kernel.kptr_restrict=1"
	} else if !hasCapability(tree, capSyslog) {
		b.Why += " (no CAP_SYSLOG)"
		b.Cure = "run it as root"
	}
}

// Bits of CapEff (include/uapi/linux/capability.h).
const (
	capRawIO   = 17
	capAdmin   = 21
	capSyslog  = 34
	capPerfmon = 38
	capBPF     = 39
)

func canBPF(tree fs.FS) bool {
	return hasCapability(tree, capAdmin) || hasCapability(tree, capBPF) && hasCapability(tree, capPerfmon)
}

// hasCapability looks at this process. What cannot be read counts as there, so that no wrong reason is given.
func hasCapability(tree fs.FS, bit int) bool {
	text, err := fs.ReadFile(tree, "proc/self/status")
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(text), "CapEff:")
	mask, err := strconv.ParseUint(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), 16, 64)
	return err != nil || mask>>bit&1 == 1
}

// lockdown returns the mode in effect: "none", "integrity", "confidentiality"; "" if the kernel has no lockdown.
func lockdown(tree fs.FS) string {
	text, _ := fs.ReadFile(tree, "sys/kernel/security/lockdown")
	_, rest, _ := strings.Cut(string(text), "[")
	mode, _, _ := strings.Cut(rest, "]")
	return mode
}
