package vectormap

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// peekSize is how many bytes one run of the program copies.
const peekSize = 4096

// mappable is BPF_F_MMAPABLE (include/uapi/linux/bpf.h).
const mappable = 1 << 10

// peek reads kernel memory with a BPF program of type raw tracepoint that is attached nowhere: each read runs it once
// (BPF_PROG_TEST_RUN, kernel 5.10), and it copies into an array that is mapped here. It needs CAP_BPF and CAP_PERFMON, or
// CAP_SYS_ADMIN; kernel lockdown for confidentiality refuses bpf_probe_read_kernel.
type peek struct {
	array   *ebpf.Map
	mapped  *ebpf.Memory
	program *ebpf.Program
}

func newPeek() (*peek, error) {
	unlimit()
	array, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ivt_peek", Type: ebpf.Array, KeySize: 4, ValueSize: peekSize, MaxEntries: 1,
		Flags: mappable})
	if err != nil {
		return nil, fmt.Errorf("make a BPF array: %w", err)
	}
	p := &peek{array: array}
	if p.mapped, err = array.Memory(); err != nil {
		p.Close()
		return nil, fmt.Errorf("map a BPF array: %w", err)
	}
	p.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{Name: "ivt_peek", Type: ebpf.RawTracepoint, License: "GPL",
		Instructions: peekProgram(array.FD())})
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("load a BPF program: %w", err)
	}
	return p, nil
}

// peekProgram is
//
//	if (ctx->length > peekSize) return -EINVAL;
//	return bpf_probe_read_kernel(array, ctx->length, ctx->address);
func peekProgram(array int) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R3, asm.R1, 0, asm.DWord),
		asm.LoadMem(asm.R2, asm.R1, 8, asm.DWord),
		asm.Mov.Imm(asm.R0, -int32(syscall.EINVAL)),
		asm.JGT.Imm(asm.R2, peekSize, "out"),
		asm.LoadMapValue(asm.R1, array, 0),
		asm.FnProbeReadKernel.Call(),
		asm.Return().WithSymbol("out"),
	}
}

// Read implements memory.
func (p *peek) Read(addr uint64, buf []byte) error {
	for len(buf) > 0 {
		n := min(len(buf), peekSize)
		var request [16]byte
		binary.NativeEndian.PutUint64(request[:], addr)
		binary.NativeEndian.PutUint64(request[8:], uint64(n))
		status, err := p.program.Run(&ebpf.RunOptions{Context: request[:]})
		if err != nil {
			return fmt.Errorf("run a BPF program: %w", err)
		}
		if status != 0 {
			return syscall.Errno(-int32(status))
		}
		if _, err := p.mapped.ReadAt(buf[:n], 0); err != nil {
			return err
		}
		addr, buf = addr+uint64(n), buf[n:]
	}
	return nil
}

// Close frees the program and the array.
func (p *peek) Close() {
	if p.program != nil {
		p.program.Close()
	}
	p.array.Close()
}
