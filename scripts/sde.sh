#!/usr/bin/env bash
# Train a score model of the 8x8 digits, then write samples, bits per dimension, a comparison of
# samplers and a page with all of it. Arguments go to the training, such as seed=1.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
run="runs/digits/${*:-default}" && run=${run//[^A-Za-z0-9._\/-]/-}
sde train digits --out "$run" --resume "$@"
sde sample "$run" -n 100
sde evaluate "$run"
