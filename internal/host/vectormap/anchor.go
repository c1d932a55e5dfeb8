package vectormap

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// An anchor finds the tables of vectors on a kernel whose symbol table has no variables (without CONFIG_KALLSYMS_ALL, as
// small kernels of virtual machines). It needs no symbol at all:
//
//   - a per-CPU array of BPF has a copy for each CPU, and the distance of a copy from the address that all share is
//     that CPU's __per_cpu_offset;
//   - BTF tells where in the per-CPU section vector_irq, runqueues and this_cpu_off are;
//   - the running task points to its CPU's run queue, which gives the address of the section.
//
// That is checked: at this_cpu_off of every CPU its offset must be found.
type anchor struct {
	peek    *peek
	program *ebpf.Program
	layout  *anchorLayout
}

// anchorLayout is where the members are that lead from a BPF array and from a task to per-CPU variables.
type anchorLayout struct {
	copies, entity, queue, runQueue, cpu member
	vectorIRQ, runQueues, thisCPUOff     uint64 // offsets in the per-CPU section
}

func newAnchorLayout(spec *btf.Spec) (*anchorLayout, error) {
	var l anchorLayout
	var size int
	err := errors.Join(
		structure(spec, "bpf_array", &size, fields{"pptrs": &l.copies}),    // include/linux/bpf.h
		structure(spec, "task_struct", &size, fields{"se": &l.entity}),     // include/linux/sched.h
		structure(spec, "sched_entity", &size, fields{"cfs_rq": &l.queue}), // with CONFIG_FAIR_GROUP_SCHED
		structure(spec, "cfs_rq", &size, fields{"rq": &l.runQueue}),        // kernel/sched/sched.h
		structure(spec, "rq", &size, fields{"cpu": &l.cpu}))
	if err != nil {
		return nil, err
	}
	var section *btf.Datasec
	if err := spec.TypeByName(".data..percpu", &section); err != nil {
		return nil, fmt.Errorf("the per-CPU section in BTF: %w", err)
	}
	wanted := map[string]*uint64{"vector_irq": &l.vectorIRQ, "runqueues": &l.runQueues, "this_cpu_off": &l.thisCPUOff}
	for _, v := range section.Vars {
		if at := wanted[v.Type.TypeName()]; at != nil {
			*at = uint64(v.Offset)
			delete(wanted, v.Type.TypeName())
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("the per-CPU section in BTF lacks %d of the variables that are needed", len(wanted))
	}
	return &l, nil
}

// findWithoutSymbols returns where the tables are; the allocator stays unknown.
func findWithoutSymbols(p *peek, l *anchorLayout, possible []int) (*symbols, error) {
	array, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ivt_anchor", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return nil, fmt.Errorf("make a BPF array: %w", err)
	}
	defer array.Close()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "ivt_anchor", Type: ebpf.RawTracepoint, License: "GPL",
		Instructions: anchorProgram(array.FD(), p.array.FD())})
	if err != nil {
		return nil, fmt.Errorf("load a BPF program: %w", err)
	}
	defer program.Close()
	a := &anchor{peek: p, program: program, layout: l}
	return a.find(possible)
}

// anchorProgram writes three addresses to the array of peek: this CPU's copy (ctx->cpu), the array itself, the task.
//
//	out = peek_array; copy = bpf_map_lookup_percpu_elem(array, &zero, ctx->cpu);   // 5.19
//	if (copy) { out[0] = copy; out[1] = array; out[2] = bpf_get_current_task(); return 0; }
//	return 1;
func anchorProgram(array, out int) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R3, asm.R1, 0, asm.DWord),
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, array),
		asm.FnMapLookupPercpuElem.Call(),
		asm.JNE.Imm(asm.R0, 0, "there"),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return(),
		asm.LoadMapValue(asm.R6, out, 0).WithSymbol("there"),
		asm.StoreMem(asm.R6, 0, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R1, array),
		asm.StoreMem(asm.R6, 8, asm.R1, asm.DWord),
		asm.FnGetCurrentTask.Call(),
		asm.StoreMem(asm.R6, 16, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}
}

// run returns the addresses of a CPU's copy, of the array and of the running task.
func (a *anchor) run(cpu int) (copyAt, array, task uint64, err error) {
	var request [8]byte
	binary.NativeEndian.PutUint64(request[:], uint64(cpu))
	status, err := a.program.Run(&ebpf.RunOptions{Context: request[:]})
	if err == nil && status != 0 {
		err = fmt.Errorf("CPU %d has no copy of a per-CPU array", cpu)
	}
	var out [24]byte
	if err == nil {
		_, err = a.peek.mapped.ReadAt(out[:], 0)
	}
	w := words(out[:])
	return w[0], w[1], w[2], err
}

// find computes the offset of each CPU, then the address of the per-CPU section, and checks both.
func (a *anchor) find(possible []int) (*symbols, error) {
	s := &symbols{}
	var task uint64
	for _, cpu := range possible {
		at, array, current, err := a.run(cpu)
		if err != nil {
			return nil, err
		}
		shared, err := wordsAt(a.peek, array+uint64(a.layout.copies.offset), 1)
		if err != nil {
			return nil, err
		}
		s.offsets = append(s.offsets, at-shared[0])
		task = current
	}
	section, err := a.section(task, possible, s.offsets)
	if err != nil {
		return nil, err
	}
	for i, offset := range s.offsets {
		own, err := wordsAt(a.peek, section+a.layout.thisCPUOff+offset, 1)
		if err != nil {
			return nil, err
		}
		if own[0] != offset {
			return nil, fmt.Errorf("CPU %d has %#x where its offset %#x should be", possible[i], own[0], offset)
		}
	}
	s.vectorIRQ = section + a.layout.vectorIRQ
	return s, nil
}

// section follows the running task to its CPU's run queue: task->se.cfs_rq->rq. The task may have moved to another CPU
// since; the queue is that of the CPU that it names itself.
func (a *anchor) section(task uint64, possible []int, offsets []uint64) (uint64, error) {
	l := a.layout
	queue, err := wordsAt(a.peek, task+uint64(l.entity.offset+l.queue.offset), 1)
	if err != nil {
		return 0, err
	}
	run, err := wordsAt(a.peek, queue[0]+uint64(l.runQueue.offset), 1)
	if err != nil {
		return 0, err
	}
	cpu, err := bytesAt(a.peek, run[0]+uint64(l.cpu.offset), 4)
	if err != nil {
		return 0, err
	}
	for i, n := range possible {
		if n == int(binary.LittleEndian.Uint32(cpu)) {
			return run[0] - l.runQueues - offsets[i], nil
		}
	}
	return 0, fmt.Errorf("the running task is on CPU %d, which is not possible", binary.LittleEndian.Uint32(cpu))
}
