#!/usr/bin/env bash
# Many clients, kills of everything. SEED=n repeats a run's choices, FOR=10m ends it after so long; without FOR it goes on until its
# goals are reached. "short" is for make test; other words are flags of test/chaos, such as -soak 10m.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x bin/ivtd ] || make -s build
mkdir -p bin
go build -o bin/chaos ./test/chaos
if [ "${1:-}" = short ]; then
	shift
	set -- -short "$@"
fi
exec bin/chaos "$@"
