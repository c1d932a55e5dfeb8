# Kernels in QEMU with software emulation. KERNEL="6.1 own" chooses, RUN= and V=1 are those of go test.
VM := $(GO) run ./test/vm/cmd/vmtest
comma := ,
empty :=
VMFLAGS = $(if $(KERNEL),-kernel $(subst $(empty) $(empty),$(comma),$(strip $(KERNEL)))) $(if $(RUN),-run '$(RUN)') $(if $(V),-v)

.PHONY: test-vm
test-vm: setup-test ## tests on real kernels: KERNEL="6.1 own" PKG=./test/vm/bare RUN=regexp V=1
	@$(VM) $(VMFLAGS) $(or $(PKG),./...)

.PHONY: vm-kernels vm-update
vm-kernels: setup-test ## only fetch and build the kernels of test-vm
	@$(VM) $(VMFLAGS) -fetch
vm-update: setup-test ## look for newer ones of the same series
	@$(VM) $(VMFLAGS) -fetch -update

.PHONY: vm-shell
vm-shell: setup-test ## a shell in a VM with the devices: KERNEL=6.12 (default own)
	@$(VM) -shell -kernel $(or $(firstword $(KERNEL)),own) $(wildcard cmd/ivt cmd/ivtd examples/deaf)

# DEMO=ivt adds the half that needs ivtd and its pci source.
.PHONY: demo-vm
demo-vm: setup-test ## two C drivers on one device: the first goes deaf; under ivt it does not
	@$(VM) -kernel $(or $(firstword $(KERNEL)),6.12) -script test/vm/deaf/demo.sh ./examples/deaf -- bare
