#!/usr/bin/env bash
# Set up the environment if need be, then run both halves: the table of the birds (the published
# data if data/ holds them, else the built-in CUB, compact features), and the digits. `run.sh cizsl` or
# `run.sh sde` runs one half. Further arguments go to every training, such as seed=1. `run.sh --download ...`
# fetches the published birds first, from the address CIZSL_MIRROR if it is set; NABirds only where
# the features of its training images lie in data/NABird, because nobody lists them.
set -euo pipefail
source "$(dirname "$0")/setup.sh"
if [ "${1:-}" = --download ]; then
    shift
    cizsl data download cub ${CIZSL_MIRROR:+--mirror "$CIZSL_MIRROR"}
    if [ -f data/NABird/pfc_feat_train_easy.mat ] || [ -f data/NABird/pfc_feat_train_hard.mat ]; then
        cizsl data download nab ${CIZSL_MIRROR:+--mirror "$CIZSL_MIRROR"}
    else
        echo "*** no NABirds: data/README.md says which of its files are listed nowhere" >&2
    fi
fi
case "${1:-}" in
    cizsl | sde) exec bash "scripts/$1.sh" "${@:2}" ;;
esac
exec bash scripts/both.sh "$@"
