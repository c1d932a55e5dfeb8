package vectormap

import system "github.com/ivtd/ivt/internal/kernel"

// unlimit makes room for a BPF array, which before 5.11 counts against RLIMIT_MEMLOCK. If the limit cannot be raised the
// array may still fit. (Package rlimit of cilium/ebpf does the same, but asks the kernel whenever a program starts.)
func unlimit() { _ = system.UnlimitLockedMemory() }
