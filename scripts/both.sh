#!/usr/bin/env bash
# Run both halves beside each other: the birds here, and the digits, of which one thread is enough,
# with their output in runs/sde.log; it is shown at the end. Arguments go to every training.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
mkdir -p runs
set -m # the digits get a process group of their own, by which the trap ends all of it
bash scripts/sde.sh "$@" </dev/null >runs/sde.log 2>&1 &
digits=$!
set +m
trap 'kill -- "-$digits" 2>/dev/null || :' EXIT
bash scripts/cizsl.sh "$@"
code=0
wait "$digits" || code=$?
tr '\r' '\n' <runs/sde.log | grep -v -e '%|' -e '^ *$' || : # progress bars
exit "$code"
