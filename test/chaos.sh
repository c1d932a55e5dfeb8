#!/usr/bin/env bash
# Many clients, kills of everything. SEED=n repeats a run's choices, FOR=10m is its length; "short" is for make test.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x bin/ivtd ] || make -s build
mkdir -p bin
go build -o bin/chaos ./test/chaos
if [ "${1:-}" = short ]; then
	export FOR=${FOR:-12s} CONNECTIONS=${CONNECTIONS:-1000}
else
	export FOR=${FOR:-10m}
fi
exec bin/chaos
