# Kernels in QEMU with software emulation. KERNEL="6.1 own" chooses, RUN= and V=1 are those of go test.
VM := $(GO) run ./test/vm/cmd/vmtest
comma := ,
empty :=
VMFLAGS = $(if $(KERNEL),-kernel $(subst $(empty) $(empty),$(comma),$(strip $(KERNEL)))) $(if $(RUN),-run '$(RUN)') $(if $(V),-v) $(if $(TIMEOUT),-timeout $(TIMEOUT))

.PHONY: test-vm
test-vm: setup-test ## tests on real kernels: KERNEL="6.1 own" PKG=./test/vm/bare RUN=regexp V=1
	@$(VM) $(VMFLAGS) $(or $(PKG),./...)
	@$(if $(PKG)$(RUN),:,IVT_VM_KERNELS=own $(GO) test -count=1 -run 'Noticed|Remembered|Examined/Stops|Examined/Freezes' ./test/vm)

.PHONY: vm-kernels vm-update
vm-kernels: setup-test ## only fetch and build the kernels of test-vm
	@$(VM) $(VMFLAGS) -fetch
vm-update: setup-test ## look for newer ones of the same series
	@$(VM) $(VMFLAGS) -fetch -update

.PHONY: vm-shell
vm-shell: setup-test ## a shell in a VM with the devices: KERNEL=6.12 (default own)
	@$(VM) -shell -kernel $(or $(firstword $(KERNEL)),own) $(wildcard cmd/ivt cmd/ivtd examples/deaf examples/edu examples/nic examples/button)

.PHONY: demo-vm
demo-vm: setup-test ## two C drivers on one device in a VM: the first goes deaf; under ivt the second gets 763
	@$(VM) -kernel $(or $(firstword $(KERNEL)),6.12) -script test/vm/deaf/demo.sh ./examples/deaf ./cmd/ivt ./cmd/ivtd -- bare ivt

.PHONY: bench-vm
bench-vm: setup-test ## the rows of make bench that need a device, in a VM
	@$(GO) run ./bench -run '^VM'
