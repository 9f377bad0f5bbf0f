#!/usr/bin/env bash
# Set up the environment if need be, then run both halves: the table of the birds (real ones if
# data/ holds them, else the built-in toy birds), then the digits. `run.sh cizsl` or `run.sh sde`
# runs one half. Further arguments go to every training, such as seed=1.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
case "${1:-}" in
    cizsl | sde) exec bash "scripts/$1.sh" "${@:2}" ;;
esac
bash scripts/cizsl.sh "$@"
exec bash scripts/sde.sh "$@"
