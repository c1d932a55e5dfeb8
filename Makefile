# make help lists the targets. Everything that is built, fetched or cached goes to bin/ and to $(CACHE).
SHELL := /bin/bash
.DEFAULT_GOAL := help
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ivt
PREFIX ?= /usr/local
DESTDIR ?=
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GO ?= go
# Where tools/setup puts Go, should the machine's be too old.
export PATH := $(CACHE)/go/bin:$(PATH)
export CGO_ENABLED ?= 0
LDFLAGS := -s -w -X github.com/ivtd/ivt/internal/version.Version=$(VERSION)
-include test/vm/vm.mk

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-zA-Z_-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup-run setup-test
setup-run:
	@tools/setup run
setup-test:
	@tools/setup test

.PHONY: build
build: setup-run ## bin/ivt and bin/ivtd
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/ivt ./cmd/ivtd

.PHONY: run
run: build ## build, start an unprivileged ivtd, say what to try next
	@tools/run

.PHONY: demo
demo: build ## two drivers, one vector, 763: in this terminal, on this machine
	@test/demo

.PHONY: test
test: setup-test ## everything: lint is apart; kernels in QEMU included
	@tools/test

.PHONY: lint
lint: setup-run ## gofmt, vet, staticcheck, for every system that we build for
	@tools/lint

.PHONY: bench
bench: setup-test ## side by side with peers: name ours peer ratio goal ok|MISS
	$(GO) run ./bench

.PHONY: chaos
chaos: build ## a million calls, kills of everything, full disks; SEED=n repeats a run, FOR=2m ends it, CHAOS="-soak 10m" are flags
	@test/chaos.sh $(CHAOS)

.PHONY: man
man: setup-run ## man pages into bin/man
	@mkdir -p bin/man && $(GO) run -tags man ./cmd/ivt bin/man && cp docs/man/* bin/man/

.PHONY: install uninstall
install: build man ## into DESTDIR and PREFIX, with unit, man pages and completion
	@tools/install install "$(DESTDIR)" "$(PREFIX)"
uninstall: ## what install put there
	@tools/install uninstall "$(DESTDIR)" "$(PREFIX)"

.PHONY: clean
clean: ## bin/ (the cache stays: $(CACHE))
	rm -rf bin
